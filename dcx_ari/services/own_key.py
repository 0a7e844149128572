"""A key for one command: who can read the home's database may talk to its engine without carrying a key about."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel import col, delete

from dcx_ari.clock import now_ms
from dcx_ari.services.keys import create_key
from dcx_ari.store.db import Database
from dcx_ari.store.models import ApiKey

_NAME = "dcx command "
_LEFT_OVER_MS = 3_600_000


@asynccontextmanager
async def own_key(database: Database, role: str = "manager") -> AsyncIterator[str]:
    """A key that is gone again at the end; those of commands that were killed go with the next. Raises StoreError."""
    name = _NAME + secrets.token_hex(4)
    async with database.write() as session:
        left_over = col(ApiKey.name).startswith(_NAME) & (col(ApiKey.created_at) < now_ms() - _LEFT_OVER_MS)
        await session.exec(delete(ApiKey).where(left_over))
        row, key = await create_key(session, name, role)
    try:
        yield key
    finally:
        async with database.write() as session:
            await session.exec(delete(ApiKey).where(col(ApiKey.id) == row["id"]))
