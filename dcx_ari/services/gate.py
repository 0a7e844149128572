"""Whose key or session a request carries, looked up fast.

What was found is kept for a second, so a key revoked by another process stops within a second; what is changed
through this process is forgotten at once (`forget`). The time of last use is kept to the minute and written off the
request's path (`flush`).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services.errors import Invalid
from dcx_ari.services.holder import Holder, granted, parse_networks
from dcx_ari.services.keys import PREFIX, hash_key
from dcx_ari.services.rate import Clock, Limiter, Taken
from dcx_ari.services.roles import patterns_of
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.models import ApiKey, User, UserSession

SESSION_PREFIX = "dcs_"
USER_RATE = 600
"""Requests a minute of somebody who has logged in."""

_TRUSTED_S = 1.0
_MOST = 4_096
_LONGEST = 100
_TOUCH_MS = 60_000
_FLUSH_S = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database said; `until_ms`: when it ends by itself."""

    holder: Holder | None
    until_ms: int | None
    last_used_at: int
    read_at: float


class Gate:
    """One for each application. `clock` in seconds, `now` in epoch ms."""

    def __init__(self, database: Database, *, clock: Clock = time.monotonic, now: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._found: OrderedDict[str, _Found] = OrderedDict()
        self._used: dict[int, tuple[int, str | None]] = {}
        self._limiter = Limiter(clock)

    async def holder(self, token: str) -> Holder | None:
        """Whose key or session this is, or None. Raises StoreError."""
        if not token.startswith((PREFIX, SESSION_PREFIX)) or len(token) > _LONGEST or not token.isascii():
            return None
        hashed = hash_key(token)
        found = self._found.get(hashed)
        if found is None or self._clock() - found.read_at >= _TRUSTED_S:
            found = await self._read(hashed, session=token.startswith(SESSION_PREFIX))
            self._found[hashed] = found
            self._found.move_to_end(hashed)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
        if found.until_ms is not None and found.until_ms <= self._now():
            return None
        return found.holder

    def take(self, holder: Holder) -> Taken | None:
        """Count a request; None where there is no limit."""
        if holder.rate_limit <= 0:
            return None
        return self._limiter.take((holder.kind, holder.id), holder.rate_limit)

    def used(self, token: str, holder: Holder, address: str | None) -> None:
        """Note that a key was used, for `last_used_at` and `last_used_ip`."""
        found = self._found.get(hash_key(token)) if holder.kind == "key" else None
        now = self._now()
        if found is not None and now - found.last_used_at >= _TOUCH_MS and holder.id not in self._used:
            self._used[holder.id] = (now, address)

    def forget(self) -> None:
        """Keys, users or roles were changed: ask the database again."""
        self._found.clear()

    async def flush(self) -> None:
        """Write the times of last use. A database that is busy is asked again the next time."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            async with self._database.write_connection() as connection:
                for key_id, (at, address) in used.items():
                    row = update(ApiKey).where(col(ApiKey.id) == key_id)
                    await connection.execute(row.values(last_used_at=at, last_used_ip=address))
        except StoreError as error:
            self._used = {**used, **self._used}
            log.info("times of last use wait: %s", error)

    async def keep(self) -> None:
        """Flush every few seconds, for ever."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self.flush()

    async def _read(self, hashed: str, *, session: bool) -> _Found:
        read_at = self._clock()
        async with self._database.read() as reading:
            found = await (self._session(reading, hashed) if session else self._key(reading, hashed))
        if found is None:
            return _Found(None, None, 0, read_at)
        holder, until_ms, last_used_at = found
        return _Found(holder, until_ms, last_used_at, read_at)

    async def _key(self, session: AsyncSession, hashed: str) -> tuple[Holder | None, int | None, int] | None:
        hashes = or_(col(ApiKey.key_hash) == hashed, col(ApiKey.previous_hash) == hashed)
        row = (await session.exec(select(ApiKey).where(hashes, col(ApiKey.revoked_at).is_(None)))).first()
        if row is None or row.id is None:
            return None
        ends = [row.expires_at]
        if not hmac.compare_digest(row.key_hash, hashed):
            if row.previous_hash is None or not hmac.compare_digest(row.previous_hash, hashed):
                return None
            ends.append(row.previous_until or 0)
        patterns = await _patterns(session, row.role)
        scoped = row.buyer_id is not None or row.traffic_source_id is not None
        holder = Holder(
            "key",
            row.id,
            row.name,
            row.role,
            granted(patterns, scoped=scoped),
            row.buyer_id,
            row.traffic_source_id,
            row.rate_limit_per_minute,
            parse_networks(row.allowed_ip_ranges),
        )
        return holder, min((each for each in ends if each is not None), default=None), row.last_used_at or 0

    async def _session(self, session: AsyncSession, hashed: str) -> tuple[Holder | None, int | None, int] | None:
        both = select(UserSession, User).where(
            col(UserSession.user_id) == col(User.id),
            col(UserSession.token_hash) == hashed,
            col(User.status) == "ACTIVE",
        )
        found = (await session.exec(both)).first()
        if found is None or not hmac.compare_digest(found[0].token_hash, hashed):
            return None
        row, user = found
        if user.id is None:
            return None
        scoped = user.buyer_id is not None or user.traffic_source_id is not None
        permissions = granted(await _patterns(session, user.role), scoped=scoped)
        ids = (user.buyer_id, user.traffic_source_id)
        holder = Holder("user", user.id, user.email, user.role, permissions, *ids, USER_RATE, (), row.id)
        return holder, row.expires_at, 0


async def _patterns(session: AsyncSession, role: str) -> tuple[str, ...]:
    """Nothing at all for a role that is gone."""
    try:
        return await patterns_of(session, role)
    except Invalid:
        return ()
