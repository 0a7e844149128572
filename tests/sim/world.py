"""An exchange on a fake Asterisk, with the shell's parts replaced by ones that remember what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

from dcx_ari.call.call import Call
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Desk, Inbound, Ports
from dcx_ari.call.runner import Flow
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.testing.parties import Caller


@dataclass
class Notes:
    """A journal, a voice, a recorder and a lifecycle in one, all in memory."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    legs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recorded: list[tuple[str, str]] = field(default_factory=list)
    closed_calls: list[Call] = field(default_factory=list)

    def opened(self, call_id: str, inbound: Inbound, at_ms: int) -> None:
        self.rows[call_id] = {"inbound": inbound}

    def update(self, call_id: str, **fields: Any) -> None:
        self.rows[call_id].update(fields)

    def event(self, call_id: str, at_ms: int, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((call_id, kind, data))

    def leg(self, call_id: str, leg: Leg) -> None:
        self.legs[leg.id] = {"result": str(leg.result), "bridged": leg.bridged_at is not None}

    def recording(self, call_id: str, recording_id: str, **fields: Any) -> None: ...

    async def durable(self) -> None:
        await asyncio.sleep(0.002)

    async def say(self, text: str, voice: str = "") -> str:
        return f"sound:said/{text}"

    async def start(self, call_id: str, recording_id: str, channel_id: str, at_ms: int) -> None:
        self.recorded.append(("start", recording_id))

    async def pause(self, recording_id: str, paused: bool, at_ms: int) -> None: ...

    async def stop(self, recording_id: str, at_ms: int) -> None:
        self.recorded.append(("stop", recording_id))

    async def connected(self, exchange: Exchange) -> None: ...

    async def closed(self, call: Call) -> None:
        self.closed_calls.append(call)

    @property
    def stages(self) -> list[str]:
        return [data["stage"] for _, kind, data in self.events if kind == "stage"]


@dataclass
class World:
    fake: FakeAsterisk
    exchange: Exchange
    notes: Notes

    def call(self, dialled: str = "+18005550199", **options: Any) -> Caller:
        return self.fake.call(dialled, args=("in", urlencode({"to": dialled})), **options)

    async def over(self) -> None:
        """Wait until every call has ended and nothing is left in Asterisk."""
        await self.fake.settled()
        for _ in range(200):
            if not self.exchange.calls:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"calls still there: {list(self.exchange.calls)}")


@asynccontextmanager
async def world(flow: Flow, **options: Any) -> AsyncIterator[World]:
    fake = FakeAsterisk("dcx-0", **options)
    notes = Notes()
    loop = asyncio.get_running_loop()
    ports = Ports(notes, notes, notes, lambda: round(1_700_000_000_000 + loop.time() * 1000), cast("Desk", notes))
    exchange = Exchange(fake, "dcx-0", ports, flow, notes)
    serving = asyncio.ensure_future(exchange.run())
    try:
        await exchange.listening.wait()
        yield World(fake, exchange, notes)
        await exchange.stop(0.0)
    finally:
        await cancel_and_wait(serving)
        await fake.close()
