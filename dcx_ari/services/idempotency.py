"""A request that is sent twice is carried out once: the first answer under a key is kept for a day and told again.

The key is claimed before the work begins; the transaction that does the work says `done` in it, so that a crash
between work and answer cannot make the work happen twice. A request that was refused has changed nothing: its key is
free again. (draft-ietf-httpapi-idempotency-key-header)
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services.errors import Conflict, Invalid
from dcx_ari.store.db import Database
from dcx_ari.store.models.idempotency import IdempotencyKey

FIELD = "Idempotency-Key"
KEPT_MS = 24 * 3_600_000
ABANDONED_MS = 300_000
"""A claim that is open for so long belongs to a process that died before it changed anything."""
LONGEST_KEY = 255
LARGEST_BODY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work under a key."""

    holder: str
    key: str
    token: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What was answered; `body` None: it is not kept."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class InFlight(Conflict):
    """The first request under this key has no answer yet."""


def parse_key(text: str) -> str:
    """The key without quotation marks. Raises Invalid."""
    key = text.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid(FIELD, f"must be 1 to {LONGEST_KEY} printable ASCII characters")
    return key


async def claim(database: Database, holder: str, key: str, request_hash: str) -> Claim | Kept:
    """The right to carry the request out, or the answer to the one before.

    Raises Invalid for another request under the same key, InFlight, Conflict where it was carried out and its
    answer is lost.
    """
    now = now_ms()
    row = IdempotencyKey
    async with database.write() as session:
        await session.exec(delete(row).where(col(row.created_at) < now - KEPT_MS))
        found = await session.get(row, (holder, key), with_for_update=True)
        if found is not None and not (found.state == "open" and found.created_at < now - ABANDONED_MS):
            return _told(found, request_hash)
        if found is not None:
            await session.delete(found)
            await session.flush()
        token = secrets.token_hex(8)
        session.add(row(holder=holder, key=key, request_hash=request_hash, token=token, created_at=now))
        try:
            await session.flush()
        except IntegrityError:  # PostgreSQL: the same request, at the same moment
            raise _in_flight() from None
    return Claim(holder, key, token)


def _told(found: IdempotencyKey, request_hash: str) -> Kept:
    if found.request_hash != request_hash:
        raise Invalid(FIELD, "was used for another request: each request needs a key of its own")
    if found.state == "open":
        raise _in_flight()
    if found.status is None or found.body is None:
        raise Conflict(FIELD, "belongs to a request that was carried out; its answer was not kept: read what it made")
    return Kept(found.status, json.loads(found.headers), found.body)


def _in_flight() -> InFlight:
    return InFlight(FIELD, "belongs to a request that is still being worked on: wait and ask again")


async def done(session: AsyncSession, claimed: Claim) -> None:
    """Part of the transaction that does the work. Raises Conflict where another attempt has taken the key over."""
    row = IdempotencyKey
    mine = select(row).where(*_mine(claimed)).with_for_update()
    if (await session.exec(mine)).first() is None:
        raise Conflict(FIELD, "was taken over by a later attempt: nothing was changed")
    await session.exec(update(row).where(*_mine(claimed)).values(state="done"))


async def keep(database: Database, claimed: Claim, kept: Kept) -> None:
    """What was answered, to be told again."""
    body = kept.body if kept.body is not None and len(kept.body) <= LARGEST_BODY else None
    values = {"state": "answered", "status": kept.status, "headers": json.dumps(dict(kept.headers)), "body": body}
    async with database.write() as session:
        await session.exec(update(IdempotencyKey).where(*_mine(claimed)).values(**values))


async def free(database: Database, claimed: Claim) -> None:
    """The request was refused: unless something was committed all the same, its key may be used again."""
    async with database.write() as session:
        open_ones = col(IdempotencyKey.state) == "open"
        await session.exec(delete(IdempotencyKey).where(*_mine(claimed), open_ones))


def _mine(claimed: Claim) -> tuple[Any, ...]:
    row = IdempotencyKey
    return (col(row.holder) == claimed.holder, col(row.key) == claimed.key, col(row.token) == claimed.token)
