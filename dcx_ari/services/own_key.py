"""A key for one command: who can read the home's database may talk to its engine without carrying a key about."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel import col, delete

from dcx_ari.clock import now_ms
from dcx_ari.services.keys import PREFIX, hash_key, new_secret
from dcx_ari.store.db import Database
from dcx_ari.store.models import ApiKey
from dcx_ari.store.models.keys import KeyFields

_NAME = "dcx command "
_LEFT_OVER_MS = 7 * 86_400_000  # longer than anybody watches `dcx live`


@asynccontextmanager
async def own_key(database: Database, role: str = "manager") -> AsyncIterator[str]:
    """A key that is gone again at the end; those of commands that were killed go with the next. Raises StoreError.

    It has no limit and leaves nothing in the audit log: what the command does with it is recorded.
    """
    name, key = _NAME + secrets.token_hex(4), new_secret()
    row = ApiKey(
        **KeyFields(name=name, role=role, rate_limit_per_minute=0).model_dump(),
        prefix=PREFIX,
        key_hash=hash_key(key),
        created_at=now_ms(),
    )
    async with database.write() as session:
        left_over = col(ApiKey.name).startswith(_NAME) & (col(ApiKey.created_at) < now_ms() - _LEFT_OVER_MS)
        await session.exec(delete(ApiKey).where(left_over))
        session.add(row)
    try:
        yield key
    finally:
        async with database.write() as session:
            await session.exec(delete(ApiKey).where(col(ApiKey.name) == name))
