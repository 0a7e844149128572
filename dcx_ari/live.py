"""The calls of this process as a live view shows them, and their changes on its own bus.

Whatever changes about a call passes the journal, which says so here. While nobody listens that is all that happens;
while somebody does, what has changed within a tenth of a second is told in one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from dcx_ari.bus.memory import MemoryBus
from dcx_ari.call.call import Call
from dcx_ari.decide.live import live_status
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.services.live import TOPIC
from dcx_ari.services.times import rfc3339

OWN = "own-calls"
"""What is told on `TOPIC`, but of this process's calls only."""
GATHER_S = 0.1
SWEEP_S = 1.0
"""Every so often all calls are looked at: what changed without the journal is told no later."""


class LiveCalls:
    """On the calls of an exchange."""

    def __init__(
        self, calls: Mapping[str, Call], snapshot: Callable[[], Snapshot], bus: MemoryBus, clock: Callable[[], int]
    ) -> None:
        self.bus = bus
        self._calls = calls
        self._snapshot = snapshot
        self._clock = clock
        self._touched: set[str] = set()
        self._woken = asyncio.Event()
        self._told: dict[str, dict[str, Any]] = {}

    def now_ms(self) -> int:
        return self._clock()

    def calls(self) -> list[dict[str, Any]]:
        snapshot = self._snapshot()
        return [view_of(call, snapshot) for call in self._calls.values()]

    def has(self, call_id: str) -> bool:
        return call_id in self._calls

    def touched(self, call_id: str) -> None:
        """Something about the call has changed, or is about to in this turn of the loop."""
        if self._wanted():
            self._touched.add(call_id)
            self._woken.set()

    async def run(self) -> None:
        """Tell changes, for ever."""
        while True:
            swept = False
            with suppress(TimeoutError):
                swept = True
                async with asyncio.timeout(SWEEP_S):
                    await self._woken.wait()
                    swept = False
                    await asyncio.sleep(GATHER_S)
            self._woken.clear()
            touched, self._touched = self._touched, set()
            if self._wanted():
                self._tell(list(self._calls) if swept else touched)
            else:
                self._told.clear()

    def _tell(self, looked_at: Collection[str]) -> None:
        """A call that has gone is told as removed even if it was never told: a snapshot may have shown it."""
        snapshot = self._snapshot()
        changed = []
        for call_id in looked_at:
            call = self._calls.get(call_id)
            if call is not None and self._told.get(call_id) != (view := view_of(call, snapshot)):
                self._told[call_id] = view
                changed.append(view)
        removed = [call_id for call_id in {**self._told, **dict.fromkeys(looked_at)} if call_id not in self._calls]
        for call_id in removed:
            self._told.pop(call_id, None)
        if changed or removed:
            for topic in (TOPIC, OWN):
                self.bus.publish(topic, {"changed": changed, "removed": removed})

    def _wanted(self) -> bool:
        return self.bus.wanted(TOPIC) or self.bus.wanted(OWN)


def view_of(call: Call, snapshot: Snapshot) -> dict[str, Any]:
    """A call as JSON values. `buyers` are those who talk, else those whose phones ring; see `services.live.seen`."""
    number = snapshot.number(call.facts.dialled)
    campaign = snapshot.campaigns.get(number.campaign_id or 0) if number is not None else None
    source = snapshot.sources.get(number.traffic_source_id or 0) if number is not None else None
    caller_up = call.caller.live
    talking = [leg for leg in call.legs.values() if caller_up and leg.live and leg.bridged_at is not None]
    dialled = [leg for leg in call.legs.values() if leg.live and leg.dialled_at is not None and leg.bridged_at is None]
    ids = dict.fromkeys(leg.buyer_id for leg in talking or dialled if leg.buyer_id is not None)
    names = {each: row.name for each in ids if (row := snapshot.buyers.get(each)) is not None}
    connected = min((leg.bridged_at for leg in talking if leg.bridged_at is not None), default=None)
    return {
        "id": call.id,
        "status": live_status(
            call.stage_name, talking=bool(talking), ringing=bool(dialled), answered=call.caller.answered
        ),
        "stage": call.stage_name,
        "caller": call.facts.caller,
        "number": call.facts.dialled,
        "campaign_id": campaign.id if campaign is not None else None,
        "campaign": campaign.name if campaign is not None else None,
        "source_id": source.id if source is not None else None,
        "source": source.name if source is not None else None,
        "buyers": [{"id": each, "name": names.get(each, f"#{each}")} for each in ids],
        "started_at": rfc3339(call.started_at),
        "answered_at": _moment(call.caller.answered_at),
        "connected_at": _moment(connected),
        "test": call.facts.test,
    }


def _moment(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
