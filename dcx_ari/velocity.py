"""Watches how often numbers ring, beside the calls and never in their way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dcx_ari.call.call import Call
from dcx_ari.call.runner import Flow
from dcx_ari.services import velocity
from dcx_ari.services.errors import Refused
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.models import VelocityRule

log = logging.getLogger(__name__)

_MOST_WAITING = 10_000


class Velocity:
    """`version` is the configuration's, `durable` returns when the rows of all calls so far are written."""

    def __init__(
        self,
        database: Database,
        version: Callable[[], int],
        durable: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._version = version
        self._durable = durable
        self._now_ms = now_ms
        self._callers: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._read_at = -1
        self._rule: VelocityRule | None = None

    def around(self, flow: Flow) -> Flow:
        """The same flow, with its calls noticed as they begin."""

        async def noticed(call: Call) -> None:
            if call.facts.caller.startswith("+") and not call.facts.test and not self._callers.full():
                self._callers.put_nowait(call.facts.caller)
            await flow(call)

        return noticed

    async def run(self) -> None:
        """For ever: count for each call that began, and keep out who rings too often."""
        while True:
            caller = await self._callers.get()
            try:
                rule = await self._current()
                if rule is not None:
                    await self._judge(caller, rule)
            except (StoreError, Refused) as error:
                log.warning("how often a number rings could not be looked at: %s", error)

    async def _current(self) -> VelocityRule | None:
        version = self._version()
        if version != self._read_at:
            async with self._database.read() as session:
                self._rule = await velocity.rule_of(session)
            self._read_at = version
        return self._rule

    async def _judge(self, caller: str, rule: VelocityRule) -> None:
        await self._durable()
        now = self._now_ms()
        async with self._database.read() as session:
            calls = await velocity.calls_lately(session, caller, now - rule.minutes * velocity.MINUTE_MS, rule.calls)
        if calls < rule.calls:
            return
        async with self._database.write() as session:
            if await velocity.keep_out(session, caller, rule, now):
                log.info("a number rings too often and is kept out for a while", extra={"caller": caller})
