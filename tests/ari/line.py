"""A wired-up client that remembers what it heard, for tests on a real Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from dcx_ari.ari.client import AriClient
from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.errors import AriError
from dcx_ari.ari.events import Dial, Event, StasisStart
from dcx_ari.ari.resources import Ari
from dcx_asterisk.process import Asterisk

E = TypeVar("E", bound=Event)


class Line:
    """A client with everything that its application heard so far."""

    def __init__(self, asterisk: Asterisk, app: str, **options: Any) -> None:
        self.app = app
        self.client = AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, app, **options)
        self.ari = Ari(self.client)
        self.events: list[Event] = []
        self.sessions = 0
        self._news = asyncio.Event()

    async def pump(self) -> None:
        async for session in self.client.sessions():
            self.sessions += 1
            self._news.set()
            async for frame in session:
                event = decode_event(frame)
                assert event is not None
                self.events.append(event)
                self._news.set()

    async def heard(self, kind: type[E], so: Callable[[E], bool] = lambda _: True) -> E:
        """The first event of a kind for which `so` holds, now or within twenty seconds."""
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and so(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def connected(self, times: int = 1) -> None:
        async with asyncio.timeout(20):
            while self.sessions < times or not self.client.connected:
                self._news.clear()
                await self._news.wait()

    async def leg(self, channel_id: str, far: str = "tone") -> None:
        """A channel of ours, talking to `far`."""
        await self.ari.channels.create(
            endpoint=f"Local/{far}@far/n",
            app=self.app,
            channel_id=channel_id,
            other_channel_id=f"{channel_id}.far",
        )
        await self.heard(StasisStart, lambda event: event.channel.id == channel_id)
        await self.ari.channels.dial(channel_id, timeout_s=20)
        await self.heard(Dial, lambda event: event.peer.id == channel_id and event.dialstatus == "ANSWER")

    async def clear(self) -> None:
        """Hang up and remove whatever the test left in Asterisk."""
        for channel in await self.ari.channels.list():
            with suppress(AriError):
                await self.ari.channels.hangup(channel.id)
        for bridge in await self.ari.bridges.list():
            with suppress(AriError):
                await self.ari.bridges.destroy(bridge.id)
        async with asyncio.timeout(20):
            while await self.ari.channels.list():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def open_line(asterisk: Asterisk, app: str = "client-test", **options: Any) -> AsyncIterator[Line]:
    line = Line(asterisk, app, **options)
    pumping = asyncio.create_task(line.pump())
    try:
        await line.connected()
        yield line
        await line.clear()
    finally:
        await line.client.close()
        await asyncio.wait([pumping])
    pumping.result()
