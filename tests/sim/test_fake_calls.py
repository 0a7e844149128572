"""The fake's people: what a whole call looks like from their ends."""

import asyncio

import pytest

from dcx_ari.ari.resources import Ari
from dcx_ari.testing import Answers, FakeAsterisk, virtual_now
from tests.sim.kit import BUYER, connected

pytestmark = pytest.mark.sim


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
