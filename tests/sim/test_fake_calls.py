"""The fake's people: what a whole call looks like from their ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dcx_ari.ari.resources import Ari
from dcx_ari.testing import Answers, FakeAsterisk, virtual_now

pytestmark = pytest.mark.sim

BUYER = "PJSIP/+15550100@trunk"


class Engine:
    """A tiny engine: it only keeps the events."""

    def __init__(self, fake: FakeAsterisk) -> None:
        self.ari = Ari(fake)
        self.events: list[dict[str, Any]] = []
        self._fake = fake
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for session in self._fake.sessions():
            async for raw in session:
                self.events.append(json.loads(raw))
                self._news.set()

    async def event(self, kind: str, subject: str = "") -> dict[str, Any]:
        """Wait for the first event of a kind that mentions an id."""
        async with asyncio.timeout(60):
            while True:
                for event in self.events:
                    if event["type"] == kind and subject in json.dumps(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def leg(self, leg_id: str, endpoint: str = BUYER) -> None:
        await self.ari.channels.create(endpoint=endpoint, app="dcx-0", channel_id=leg_id)
        await self.event("StasisStart", leg_id)
        await self.ari.channels.dial(leg_id, timeout_s=30)
        await self.event("Dial", '"ANSWER"')


@asynccontextmanager
async def connected(fake: FakeAsterisk) -> AsyncIterator[Engine]:
    engine = Engine(fake)
    reading = asyncio.create_task(engine.read())
    await asyncio.sleep(0)
    try:
        yield engine
    finally:
        reading.cancel()


async def test_a_whole_call_from_both_ends(fake: FakeAsterisk) -> None:
    fake.sound("sound:menu", 5.0)
    buyer = fake.phone(BUYER, Answers(after=2.0))
    async with connected(fake) as engine:
        caller = fake.call()
        channel = (await engine.event("StasisStart"))["channel"]["id"]
        await engine.ari.channels.answer(channel)
        await engine.ari.channels.play_with_id(channel, "p1", media="sound:menu")
        await caller.hears("sound:menu")
        await caller.press("1", after=2.0)
        assert (await engine.event("ChannelDtmfReceived"))["digit"] == "1"
        await engine.ari.playbacks.stop("p1")
        await engine.leg("leg1")
        await engine.ari.channels.play_with_id("leg1", "p2", media="sound:whisper")
        await engine.event("PlaybackFinished", "p2")
        await engine.ari.bridges.create_with_id("b1", type="mixing")
        await engine.ari.bridges.add_channel("b1", channel=[channel, "leg1"])
        caller.hang_up(after=30)
        await engine.event("StasisEnd", channel)
        await engine.ari.channels.hangup("leg1")
        await engine.ari.bridges.destroy("b1")
        await fake.settled()

    assert caller.media == ["sound:menu"]
    assert caller.seconds_of("sound:menu") == 2.0
    assert buyer.call.media == ["sound:whisper"]
    assert caller.talked_with(buyer.call) == 30
    assert buyer.call.cause == 16
    assert virtual_now() < 36


async def test_a_call_that_nobody_takes_goes_to_the_fallback(fake: FakeAsterisk) -> None:
    caller = fake.call(retry_s=20)
    await caller.until_ended()
    assert caller.turned_away
    assert virtual_now() >= 20
    fake.assert_clean()


async def test_the_dialplan_waits_for_an_engine_that_comes_back(fake: FakeAsterisk) -> None:
    caller = fake.call()
    await asyncio.sleep(5)
    async with connected(fake) as engine:
        started = await engine.event("StasisStart")
    assert started["args"] == ["in", "to=%2B18005550199"]
    assert not caller.turned_away


async def test_what_is_left_behind_is_named(fake: FakeAsterisk) -> None:
    await Ari(fake).bridges.create_with_id("b1", type="mixing")
    with pytest.raises(AssertionError, match="bridge b1"):
        fake.assert_clean()
