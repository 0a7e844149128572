"""Logging in: a password for a token that is good for twelve hours.

Failures are counted for each account and each address, in this process: after some of them the next attempt has to
wait, for longer each time, up to a quarter of an hour. An account that does not exist behaves like one that does.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlmodel import col, delete, select

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.audit import Actor
from dcx_ari.services.errors import Invalid
from dcx_ari.services.gate import SESSION_PREFIX
from dcx_ari.services.holder import Holder
from dcx_ari.services.keys import hash_key, new_secret
from dcx_ari.services.passwords import check_password, hash_password, is_outdated, is_password
from dcx_ari.services.rate import BackOff, Clock
from dcx_ari.services.users import set_password, shown
from dcx_ari.store.db import Database
from dcx_ari.store.models import User, UserSession

SESSION_MS = 12 * 3_600_000
_AT_ONCE = 2
"""Passwords checked at the same time: each takes 64 MiB."""


class LoginRefused(Exception):
    """Wrong account or password; which of them is not told."""


class LoginMustWait(Exception):
    """Too many failures: try again after `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many failures: wait {wait_s:.0f} s")
        self.wait_s = wait_s


class Logins:
    """One for each application."""

    def __init__(self, database: Database, *, clock: Clock = time.monotonic, now: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now = now
        self._accounts = BackOff(clock, free=5)
        self._addresses = BackOff(clock, free=20)
        self._hashing = asyncio.Semaphore(_AT_ONCE)

    async def login(self, email: str, password: str, address: str | None) -> tuple[dict[str, Any], str, int]:
        """The user, the token and when it ends (epoch ms). Raises LoginRefused, LoginMustWait."""
        account = hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).digest()
        self._check_wait(account, address)
        async with self._hashing:
            self._check_wait(account, address)  # others may have failed while this one waited
            async with self._database.read() as session:
                query = select(User).where(col(User.email) == email.strip().lower())
                user = (await session.exec(query)).first() if email.isprintable() else None
            right = await is_password(user.password_hash if user else None, password)
            if user is None or not right or user.status != "ACTIVE":
                await self._failed(account, address, user)
                raise LoginRefused
            fresh = await hash_password(password) if is_outdated(user.password_hash or "") else None
        self._accounts.forget(account)
        return await self._begin(user, address, fresh)

    async def logout(self, holder: Holder, actor: Actor) -> None:
        """End the session that the asker came with. Raises Invalid for a key."""
        if holder.session_id is None:
            raise Invalid("session", "a key is revoked, not logged out")
        async with self._database.write() as session:
            session.info["actor"] = actor
            await session.exec(delete(UserSession).where(col(UserSession.id) == holder.session_id))
            await audit.record(session, "session.ended", "user", holder.id)

    async def change_password(self, holder: Holder, actor: Actor, current: str, new: str) -> None:
        """One's own password; other logins end. Raises Invalid, LoginRefused, LoginMustWait."""
        if holder.kind != "user":
            raise Invalid("password", "a key has none")
        account = ("password", holder.id)
        check_password(new, email=holder.name, field="new_password")
        if (wait_s := self._accounts.wait_s(account)) > 0:
            raise LoginMustWait(wait_s)
        async with self._hashing:
            async with self._database.read() as session:
                user = await session.get(User, holder.id)
            if not await is_password(user.password_hash if user else None, current):
                self._accounts.failed(account)
                raise LoginRefused
            hashed = await hash_password(new)
        self._accounts.forget(account)
        async with self._database.write() as session:
            session.info["actor"] = actor
            await set_password(session, holder.id, hashed, keep_session=holder.session_id)

    def _check_wait(self, account: bytes, address: str | None) -> None:
        wait_s = max(self._accounts.wait_s(account), self._addresses.wait_s(address or ""))
        if wait_s > 0:
            raise LoginMustWait(wait_s)

    async def _failed(self, account: bytes, address: str | None, user: User | None) -> None:
        """What was typed is not kept: people type passwords into the wrong field."""
        count = self._accounts.failed(account)
        self._addresses.failed(address or "")
        async with self._database.write() as session:
            session.info["actor"] = replace(audit.SYSTEM, name="login", address=address)
            found = {"known": user is not None, "failures_in_a_row": count}
            await audit.record(session, "session.refused", "user", user.id if user else None, None, found)

    async def _begin(self, user: User, address: str | None, fresh: str | None) -> tuple[dict[str, Any], str, int]:
        token, now = new_secret(SESSION_PREFIX), self._now()
        async with self._database.write() as session:
            session.info["actor"] = Actor("user", str(user.id), user.email, address)
            row = await session.get(User, user.id)
            if row is None or row.status != "ACTIVE":
                raise LoginRefused
            row.last_login_at = now
            row.password_hash = fresh or row.password_hash
            old = (col(UserSession.user_id) == row.id) & (col(UserSession.expires_at) <= now)
            await session.exec(delete(UserSession).where(old))
            session.add(
                UserSession(
                    user_id=row.id or 0,
                    token_hash=hash_key(token),
                    created_at=now,
                    expires_at=now + SESSION_MS,
                    address=address,
                )
            )
            await audit.record(session, "session.created", "user", row.id)
            return shown(row), token, now + SESSION_MS
