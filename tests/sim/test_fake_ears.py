"""Who hears what: the fake's notes must be what a room full of people would say."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dcx_ari.testing import Answers, FakeAsterisk, Party
from tests.sim.kit import BUYER, Engine, connected

pytestmark = pytest.mark.sim

COACH = "PJSIP/coach@phones"


@pytest_asyncio.fixture
async def engine(fake: FakeAsterisk) -> AsyncIterator[Engine]:
    async with connected(fake) as engine:
        yield engine


async def _talk(fake: FakeAsterisk, engine: Engine) -> tuple[Party, Party]:
    """A caller and a buyer in a bridge `b1`."""
    buyer = fake.phone(BUYER, Answers(after=1.0))
    caller = fake.call(name="caller")
    await engine.event("StasisStart", caller.channel.id)
    await engine.ari.channels.answer(caller.channel.id)
    await engine.leg("buyer")
    await engine.ari.bridges.create_with_id("b1", type="mixing")
    await engine.ari.bridges.add_channel("b1", channel=[caller.channel.id, "buyer"])
    return caller, buyer.call


async def test_ringing_and_music_are_heard_until_they_stop(fake: FakeAsterisk, engine: Engine) -> None:
    caller = fake.call()
    await engine.event("StasisStart", caller.channel.id)
    await engine.ari.channels.ring(caller.channel.id)
    await asyncio.sleep(3)
    await engine.ari.channels.answer(caller.channel.id)
    await engine.ari.channels.start_moh(caller.channel.id, moh_class="jazz")
    await asyncio.sleep(4)
    await engine.ari.channels.stop_moh(caller.channel.id)
    assert [(h.what, h.seconds(99), h.early) for h in caller.heard] == [
        ("ringing", 3, True),
        ("moh:jazz", 4, False),
    ]


async def test_what_is_played_to_one_is_not_heard_by_the_other(fake: FakeAsterisk, engine: Engine) -> None:
    fake.sound("sound:whisper", 3.0)
    caller, buyer = await _talk(fake, engine)
    await asyncio.sleep(10)
    await engine.ari.channels.play("buyer", media="sound:whisper")
    await asyncio.sleep(10)
    assert buyer.media == ["sound:whisper"]
    assert caller.media == []
    assert (
        caller.seconds_of(buyer.name) == buyer.seconds_of("caller") == 17
    )  # a member who listens to a playback is apart for that time


async def test_a_muted_party_is_not_heard(fake: FakeAsterisk, engine: Engine) -> None:
    caller, buyer = await _talk(fake, engine)
    await asyncio.sleep(5)
    await engine.ari.channels.mute("buyer", direction="in")
    await asyncio.sleep(5)
    assert caller.seconds_of(buyer.name) == 5
    assert buyer.seconds_of("caller") == 10


async def test_a_coach_hears_both_and_is_heard_by_one(fake: FakeAsterisk, engine: Engine) -> None:
    coach_phone = fake.phone(COACH, Answers(after=0.5))
    caller, buyer = await _talk(fake, engine)
    await engine.leg("coach", COACH)
    await engine.ari.channels.snoop_channel_with_id("buyer", "spy", app="dcx-0", spy="both", whisper="out")
    await engine.event("StasisStart", "spy")
    await engine.ari.bridges.create_with_id("b2", type="mixing")
    await engine.ari.bridges.add_channel("b2", channel=["coach", "spy"])
    await asyncio.sleep(5)
    coach = coach_phone.call
    assert sorted(coach.hearing) == sorted(["caller", buyer.name])
    assert coach.name in buyer.hearing
    assert coach.name not in caller.hearing
    await engine.ari.channels.hangup("buyer")
    await engine.event("StasisEnd", "spy")
    assert coach.hearing == []


async def test_in_a_holding_bridge_nobody_hears_the_others(fake: FakeAsterisk, engine: Engine) -> None:
    await engine.ari.bridges.create_with_id("queue", type="holding")
    await engine.ari.bridges.start_moh("queue")
    waiting = [fake.call(name=f"caller{number}") for number in range(3)]
    for caller in waiting:
        await engine.event("StasisStart", caller.channel.id)
        await engine.ari.channels.answer(caller.channel.id)
        await engine.ari.bridges.add_channel("queue", channel=caller.channel.id)
    await asyncio.sleep(5)
    assert [caller.hearing for caller in waiting] == [["moh:default"]] * 3
    await engine.ari.bridges.play("queue", media="sound:position")
    await asyncio.sleep(0.5)
    assert all("sound:position" in caller.hearing for caller in waiting)


async def test_digits_reach_the_other_side(fake: FakeAsterisk, engine: Engine) -> None:
    caller, buyer = await _talk(fake, engine)
    await caller.press("12")
    await engine.ari.channels.send_dtmf("buyer", dtmf="9")
    assert buyer.digits == ["1", "2", "9"]


async def test_early_media_of_a_leg_is_heard_before_the_answer(fake: FakeAsterisk, engine: Engine) -> None:
    phone = fake.phone(BUYER, Answers(after=10.0, early_media_after=1.0))
    caller = fake.call(name="caller")
    await engine.event("StasisStart", caller.channel.id)
    await engine.ari.channels.create(endpoint=BUYER, app="dcx-0", channel_id="buyer")
    await engine.event("StasisStart", "buyer")
    await engine.ari.bridges.create_with_id("b1", type="mixing")
    await engine.ari.bridges.add_channel("b1", channel=[caller.channel.id, "buyer"])
    await engine.ari.channels.dial("buyer", timeout_s=30)
    await asyncio.sleep(5)
    assert caller.seconds_of(phone.call.name) == 4
    assert phone.call.answered_at is None
