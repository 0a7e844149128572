"""API keys: made, listed, revoked, verified.

A key is 256 random bits, so its plain SHA-256 is kept: a slow hash protects guessable secrets, and nobody
guesses this one. The key is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.render import plain
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.fields import label
from dcx_ari.store.models.keys import ApiKey, Role

PREFIX = "dcx_"
_SHOWN = len(PREFIX) + 6
_TOUCH_MS = 60_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is."""

    id: int
    name: str
    role: Role

    @property
    def writes(self) -> bool:
        """Whether the key may change things."""
        return self.role in ("admin", "manager")


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def create_key(session: AsyncSession, name: str, role: str = "admin") -> tuple[dict[str, Any], str]:
    """The row's values, and the key itself, which cannot be read again. Raises Invalid, Conflict."""
    try:
        name = label(name)
    except ValueError as error:
        raise Invalid("name", str(error)) from None
    if role not in get_args(Role):
        raise Invalid("role", f"must be one of {', '.join(get_args(Role))}")
    if (await session.exec(select(ApiKey.id).where(col(ApiKey.name) == name))).first() is not None:
        raise Conflict("name", f"{name!r} is taken by another key")
    key = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey.model_validate(
        {"name": name, "prefix": key[:_SHOWN], "key_hash": hash_key(key), "role": role, "created_at": now_ms()}
    )
    session.add(row)
    await session.flush()
    return _shown(row), key


async def list_keys(session: AsyncSession) -> list[dict[str, Any]]:
    rows = (await session.exec(select(ApiKey).order_by(col(ApiKey.id)))).all()
    return [_shown(row) for row in rows]


async def revoke_key(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """By id, name or shown prefix; at once, in every process. Raises NotFound."""
    text = str(key)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    query = select(ApiKey).where((col(ApiKey.id) == number) | (col(ApiKey.name) == text) | (col(ApiKey.prefix) == text))
    row = (await session.exec(query)).first()
    if row is None:
        raise NotFound("key", f"there is no key {text!r}")
    row.revoked_at = row.revoked_at or now_ms()
    session.add(row)
    await session.flush()
    return _shown(row)


async def verify_key(database: Database, key: str) -> Holder | None:
    """Whose key it is, or None. Asks the database every time, so that a revoked key stops working at once.

    The time of last use is kept to the minute. Raises StoreError.
    """
    if not key.startswith(PREFIX) or len(key) > 100 or not key.isascii():
        return None
    hashed = hash_key(key)
    async with database.read() as session:
        row = (await session.exec(select(ApiKey).where(col(ApiKey.key_hash) == hashed))).first()
    if row is None or row.id is None or row.revoked_at is not None:
        return None
    if not hmac.compare_digest(row.key_hash, hashed):
        return None
    now = now_ms()
    if row.last_used_at is None or now - row.last_used_at > _TOUCH_MS:
        with suppress(StoreError):  # a busy database is no reason to turn a valid key away
            async with database.write() as session:
                touched = await session.get(ApiKey, row.id)
                if touched is not None:
                    touched.last_used_at = now
    return Holder(row.id, row.name, row.role)


def _shown(row: ApiKey) -> dict[str, Any]:
    names = ("id", "name", "prefix", "role", "created_at", "last_used_at", "revoked_at")
    return {name: plain(name, getattr(row, name)) for name in names}
