"""Watches a leg for the instant at which the call is sold."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.conversion import Conversion, Heard, conversion_due
from dcx_ari.decide.rows import Buyer, ConversionRule

log = logging.getLogger(__name__)

Rules = tuple[tuple[int, ConversionRule], ...]


class Meter:
    """Converts the attempt when a rule is fulfilled: at that instant, not at the hangup.

    Use as `async with`. What was reached in the last instant before the end is booked on the way out.
    """

    def __init__(self, call: Call, leg: Leg, buyer: Buyer, attempt: int, rules: Rules) -> None:
        self._call = call
        self._leg = leg
        self._buyer = buyer
        self._attempt = attempt
        self._rules = rules
        self._sold = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Meter:
        if self._rules:
            self._task = asyncio.create_task(self._watch(), name=f"meter {self._leg.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        await cancel_and_wait(self._task)
        if not self._task.cancelled() and (failed := self._task.exception()) is not None:
            log.error("conversion could not be booked, trying again", exc_info=failed)
        if not self._sold:
            await self._look()

    async def _watch(self) -> None:
        while True:
            until = await self._look()
            if self._sold:
                return
            timeout = None if until is None else max(0.0, (until - self._call.ports.now_ms()) / 1000)
            await self._changed(timeout)

    async def _look(self) -> int | None:
        """Book what has been earned. Else when to look again (epoch ms), None: when something changes."""
        leg = self._leg
        stages = leg.stages(self._call.caller.ended_at)
        heard = Heard(digits=frozenset(leg.digits))
        verdict = conversion_due(self._rules, self._buyer, stages, heard, self._call.ports.now_ms())
        if not isinstance(verdict, Conversion):
            return None if verdict is None else verdict.at
        await self._call.ports.desk.convert(self._call, self._attempt, self._buyer, verdict)
        self._sold = True
        return None

    async def _changed(self, timeout_s: float | None) -> None:
        before = self._state()
        await self._call.wait_any(lambda: self._state() != before, timeout_s)

    def _state(self) -> tuple[object, ...]:
        leg = self._leg
        return (
            leg.dialled_at,
            leg.answered_at,
            leg.accepted_at,
            leg.bridged_at,
            leg.ended_at,
            len(leg.digits),
        )
