"""What a contract scenario works with: one Asterisk, real or fake, and people on the other side of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest

from dcx_ari.ari.errors import AriError
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from dcx_ari.testing import Answers, FarEnd

APP = "dcx-0"
LONG = "sound:demo-congrats"  # half a minute
SHORT = "sound:beep"  # under half a second
MISSING = "sound:no-such-file"


class Person(Protocol):
    """Somebody who calls in; `channel_id` is the channel that our application got."""

    @property
    def channel_id(self) -> str: ...
    async def press(self, digits: str) -> None: ...
    async def hang_up(self) -> None: ...


class Site(Protocol):
    """What differs between the real Asterisk and the fake."""

    async def endpoint(self, *scripts: FarEnd) -> str:
        """A new endpoint that behaves by these scripts, one per call."""
        ...

    async def dial_in(self, dialled: str, caller: str) -> Any:
        """Somebody begins to call; returns a handle with `press` and `hang_up`."""
        ...

    def second(self, app: str) -> Transport:
        """A new connection for an application."""
        ...

    def media(self, connection: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The socket of a WebSocket channel."""
        ...


class Log:
    """The events of one application."""

    def __init__(self, transport: Transport, app: str) -> None:
        self.ari = Ari(transport)
        self.app = app
        self.events: list[dict[str, Any]] = []
        self.connections = 0
        self._transport = transport
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for session in self._transport.sessions():
            self.connections += 1
            self._news.set()
            async for raw in session:
                self.events.append(json.loads(raw))
                self._news.set()

    def about(self, subject: str) -> list[dict[str, Any]]:
        """The events that are about exactly this channel, bridge, playback or recording."""
        return [event for event in self.events if subject in subjects(event)]

    def kinds(self, subject: str) -> list[str]:
        return [kind(event) for event in self.about(subject)]

    async def event(self, name: str, subject: str = "", *, times: int = 1, timeout_s: float = 8) -> dict[str, Any]:
        """Wait for the event (`Dial ANSWER`, `StasisStart`) about a subject, for the `times`-th of them."""

        def found() -> list[dict[str, Any]]:
            events = self.about(subject) if subject else self.events
            return [event for event in events if name in (event["type"], kind(event))]

        await self.until(lambda: len(found()) >= times, f"{name} of {subject or 'anything'}", timeout_s)
        return found()[times - 1]

    async def close(self) -> None:
        await self._transport.close()

    async def connected(self, times: int) -> None:
        await self.until(lambda: self.connections >= times, f"connection {times}", 8)

    async def until(self, condition: Any, what: str, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = [(kind(event), subjects(event)) for event in self.events]
            raise AssertionError(f"no {what} within {timeout_s} s; seen: {seen}") from None


class World:
    """Our application on a `Site`. Every scenario makes its own ids, so many can share one Asterisk."""

    app = APP

    def __init__(self, site: Site, log: Log, mark: str) -> None:
        self.site = site
        self.log = log
        self.ari = log.ari
        self.mark = mark
        self._people: list[Person] = []
        self._count = 0

    def id(self, word: str) -> str:
        self._count += 1
        return f"{self.mark}.{word}{self._count}"

    async def event(self, name: str, subject: str = "", *, times: int = 1, timeout_s: float = 8) -> dict[str, Any]:
        return await self.log.event(name, subject, times=times, timeout_s=timeout_s)

    def kinds(self, subject: str) -> list[str]:
        return self.log.kinds(subject)

    async def quiet(self) -> None:
        """Give Asterisk the time to say something that it should not say."""
        await asyncio.sleep(0.3)

    async def created(self, *scripts: FarEnd, leg: str = "") -> str:
        """A leg that is in Stasis and not dialled."""
        leg = leg or self.id("leg")
        endpoint = await self.site.endpoint(*(scripts or (Answers(after=0.0, rings_after=None),)))
        await self.ari.channels.create(endpoint=endpoint, app=self.app, app_args="out", channel_id=leg)
        await self.event("StasisStart", leg)
        return leg

    async def dialled(self, *scripts: FarEnd, timeout_s: int = 20) -> str:
        leg = await self.created(*scripts)
        await self.ari.channels.dial(leg, timeout_s=timeout_s)
        return leg

    async def answered(self, *scripts: FarEnd) -> str:
        """A leg that is up."""
        leg = await self.dialled(*scripts)
        await self.event("Dial ANSWER", leg)
        return leg

    async def bridge(self, *members: str, kind: str = "mixing") -> str:
        bridge = self.id("bridge")
        await self.ari.bridges.create_with_id(bridge, type=kind, name="contract")
        if members:
            await self.ari.bridges.add_channel(bridge, channel=list(members))
        return bridge

    async def caller(self) -> Person:
        """Somebody who has called in and is in Stasis, unanswered."""
        self._count += 1
        dialled = f"+1800{abs(hash(self.mark)) % 1000:03d}{self._count:04d}"
        person = await self.site.dial_in(dialled, "+12125550123")

        def mine() -> list[dict[str, Any]]:
            starts = [e for e in self.log.events if e["type"] == "StasisStart"]
            return [e for e in starts if e["channel"]["dialplan"]["exten"] == dialled]

        await self.log.until(lambda: bool(mine()), f"a call to {dialled}", 8)
        person.channel_id = mine()[0]["channel"]["id"]
        found: Person = person
        self._people.append(found)
        return found

    def another(self, app: str) -> AbstractAsyncContextManager[Log]:
        """A second application, connected."""
        return connected(self.site, app)

    async def sweep(self) -> None:
        """Hang up and destroy whatever the scenario left."""
        for person in self._people:
            await person.hang_up()
        for channel in await self.ari.channels.list():
            if channel.id.startswith(self.mark):
                await quietly(self.ari.channels.hangup(channel.id))
        for bridge in await self.ari.bridges.list():
            if bridge.id.startswith(self.mark):
                await quietly(self.ari.bridges.destroy(bridge.id))


async def quietly(request: Any) -> None:
    """For clearing up: what is gone is gone."""
    try:
        await request
    except AriError:
        return


def kind(event: dict[str, Any]) -> str:
    """The type, for a Dial with its status, for a state change with its state."""
    name: str = event["type"]
    if name == "Dial":
        return f"Dial {event['dialstatus']}".strip()
    return f"{event['channel']['state']}" if name == "ChannelStateChange" else name


def subjects(event: dict[str, Any]) -> list[str]:
    found = [event[name]["id"] for name in ("channel", "bridge", "playback", "peer") if name in event]
    return found + ([event["recording"]["name"]] if "recording" in event else [])


@asynccontextmanager
async def refused(error: type[AriError], *, status: int = 0) -> AsyncIterator[None]:
    """The block must raise exactly this error, with this status where one is given."""
    with pytest.raises(error) as caught:
        yield
    assert type(caught.value) is error
    if status:
        assert caught.value.status == status, caught.value


@asynccontextmanager
async def connected(site: Site, app: str) -> AsyncIterator[Log]:
    """An application's connection, and its log."""
    log = Log(site.second(app), app)
    reading = asyncio.create_task(log.read())
    try:
        await log.connected(1)
        yield log
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await log.close()
