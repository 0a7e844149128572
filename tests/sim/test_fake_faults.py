"""What can go wrong with the fake on purpose: connections, latency, refusals, restarts."""

import asyncio

import pytest

from dcx_ari.ari.errors import Conflict, NotInStasis, Replaced, ServerFault, Unreachable
from dcx_ari.ari.resources import Ari
from dcx_ari.testing import Answers, FakeAsterisk, virtual_now
from tests.sim.kit import BUYER, Engine, connected

pytestmark = pytest.mark.sim


async def test_a_leg_dialled_before_its_stasis_start_is_refused(fake: FakeAsterisk) -> None:
    fake.phone(BUYER, Answers())
    async with connected(fake) as engine:
        await engine.ari.channels.create(endpoint=BUYER, app="dcx-0", channel_id="leg1")
        with pytest.raises(NotInStasis):
            await engine.ari.channels.dial("leg1")


async def test_events_can_come_before_the_answer(fake: FakeAsterisk) -> None:
    fake.phone(BUYER, Answers())
    fake.latency_s = 0.1
    async with connected(fake) as engine:
        creating = asyncio.create_task(engine.ari.channels.create(endpoint=BUYER, app="dcx-0", channel_id="leg1"))
        await engine.event("StasisStart", "leg1")
        assert not creating.done()
        await creating
        assert virtual_now() == pytest.approx(0.2)


async def test_events_of_a_lost_connection_are_lost(fake: FakeAsterisk) -> None:
    async with connected(fake) as engine:
        caller = fake.call()
        channel = (await engine.event("StasisStart"))["channel"]["id"]
        fake.drop_connection()
        await caller.press("1")
        await asyncio.sleep(5)
        assert (await engine.ari.channels.get(channel)).state == "Ring"
        await caller.press("2")
        assert (await engine.event("ChannelDtmfReceived"))["digit"] == "2"
    lost = [sent.event["type"] for sent in fake.core.events if sent.lost]
    assert lost == ["ChannelDtmfReceived"]


async def test_a_stalled_connection_delivers_late(fake: FakeAsterisk) -> None:
    async with connected(fake) as engine:
        fake.stall()
        caller = fake.call()
        await asyncio.sleep(30)
        assert engine.events == []
        fake.resume()
        assert (await engine.event("StasisStart"))["channel"]["id"] == caller.channel.id


async def test_a_restart_leaves_nothing_and_tells_nobody(fake: FakeAsterisk) -> None:
    async with connected(fake) as engine:
        before = (await engine.ari.asterisk.get_info()).status
        caller = fake.call()
        await engine.event("StasisStart")
        await engine.ari.channels.answer(caller.channel.id)
        await engine.ari.channels.play(caller.channel.id, media="sound:menu")
        fake.stop()
        with pytest.raises(Unreachable):
            await engine.ari.asterisk.ping()
        await asyncio.sleep(2)
        fake.start()
        await asyncio.sleep(1)
        after = (await engine.ari.asterisk.get_info()).status
        assert before is not None
        assert after is not None
        assert after.startup_time > before.startup_time
        assert await engine.ari.channels.list() == []
        assert not [event for event in engine.events if event["type"] == "StasisEnd"]
        assert caller.ended_at == pytest.approx(0, abs=0.1)
        assert caller.hearing == []
        fake.assert_clean()


async def test_a_request_can_be_made_to_fail(fake: FakeAsterisk) -> None:
    ari = Ari(fake)
    fake.fail("POST", "bridges/*", status=409, message="Bridge with id already exists")
    with pytest.raises(Conflict):
        await ari.bridges.create_with_id("b1")
    await ari.bridges.create_with_id("b1")
    fake.fail("DELETE", "bridges/*", times=2)
    for _ in range(2):
        with pytest.raises(ServerFault):
            await ari.bridges.destroy("b1")
    await ari.bridges.destroy("b1")
    assert [asked.status for asked in fake.asked("* bridges/*")] == [409, 200, 500, 500, 204]


async def test_an_answer_can_fail_to_come_though_the_request_was_done(fake: FakeAsterisk) -> None:
    ari = Ari(fake)
    fake.fail("POST", "bridges/*", status=0, runs=True)
    with pytest.raises(Unreachable):
        await ari.bridges.create_with_id("b1")
    assert virtual_now() == 10
    assert [bridge.id for bridge in await ari.bridges.list()] == ["b1"]


async def test_cancelling_a_request_does_not_undo_it(fake: FakeAsterisk) -> None:
    async with connected(fake) as engine:
        caller = fake.call()
        await engine.event("StasisStart")
        await engine.ari.channels.play_with_id(caller.channel.id, "p1", media="sound:menu")
        answering = asyncio.create_task(engine.ari.channels.answer(caller.channel.id))
        await asyncio.sleep(0.1)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        assert caller.answered_at is None
        await engine.ari.playbacks.stop("p1")
        await caller.until_answered()


async def test_a_second_engine_of_the_same_name_replaces_the_first(fake: FakeAsterisk) -> None:
    first = Engine(fake)
    reading = asyncio.create_task(first.read())
    await asyncio.sleep(0)
    async with connected(fake, fake.client("dcx-0")):
        await first.event("ApplicationReplaced")
        with pytest.raises(Replaced):
            await reading


async def test_two_applications_get_their_own_events(fake: FakeAsterisk) -> None:
    other = Engine(fake, fake.client("dcx-1"))
    reading = asyncio.create_task(other.read())
    async with connected(fake) as engine:
        mine, theirs = fake.call(), fake.call(app="dcx-1")
        assert (await engine.event("StasisStart"))["channel"]["id"] == mine.channel.id
        assert (await other.event("StasisStart"))["channel"]["id"] == theirs.channel.id
        await engine.ari.channels.move(mine.channel.id, app="dcx-1", app_args="taken")
        moved = await other.event("StasisStart", mine.channel.id)
        assert moved["args"] == ["taken"]
    reading.cancel()
