"""A tiny engine for tests of the fake: it keeps the events and asks what it is told to ask."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from dcx_ari.testing import FakeAsterisk

BUYER = "PJSIP/+15550100@trunk"


class Engine:
    """A tiny engine: it only keeps the events."""

    def __init__(self, fake: FakeAsterisk, transport: Transport | None = None) -> None:
        self._transport: Transport = transport or fake
        self.ari = Ari(self._transport)
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for session in self._transport.sessions():
            async for raw in session:
                self.events.append(json.loads(raw))
                self._news.set()

    async def event(self, kind: str, *words: str) -> dict[str, Any]:
        """Wait for the first event of a kind whose JSON holds all words."""
        async with asyncio.timeout(60):
            while True:
                for event in self.events:
                    if event["type"] == kind and all(word in json.dumps(event) for word in words):
                        return event
                self._news.clear()
                await self._news.wait()

    async def leg(self, leg_id: str, endpoint: str = BUYER) -> None:
        await self.ari.channels.create(endpoint=endpoint, app="dcx-0", channel_id=leg_id)
        await self.event("StasisStart", leg_id)
        await self.ari.channels.dial(leg_id, timeout_s=30)
        await self.event("Dial", '"ANSWER"', f'"{leg_id}"')


@asynccontextmanager
async def connected(fake: FakeAsterisk, transport: Transport | None = None) -> AsyncIterator[Engine]:
    engine = Engine(fake, transport)
    reading = asyncio.create_task(engine.read())
    await asyncio.sleep(0)
    try:
        yield engine
    finally:
        reading.cancel()
