"""Legs that are originated: one request, in Stasis only once they are answered."""

from typing import Any

from dcx_ari.ari.errors import Conflict, Gone, NotInStasis
from dcx_ari.testing import Answers, AnswersThenHangsUp, Busy, Congestion, FarEnd, NoAnswer, NoSuchNumber, Refuses
from tests.contract.world import LONG, World, refused

ENDED_IN_STASIS = ["ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"]


async def _originated(world: World, script: FarEnd, timeout_s: int = 20, **how: Any) -> str:
    leg = world.id("leg")
    endpoint = await world.site.endpoint(script)
    await world.ari.channels.originate(
        endpoint=endpoint, app=how.pop("app", world.app), channel_id=leg, timeout_s=timeout_s, **how
    )
    return leg


async def originate_is_in_stasis_only_after_the_answer(world: World) -> None:
    leg = await _originated(world, Answers(after=0.3), app_args="x,y")
    async with refused(NotInStasis, status=409):
        await world.ari.channels.start_moh(leg)
    started = await world.event("StasisStart", leg)
    assert started["args"] == ["x", "y"]
    assert started["channel"]["state"] == "Up"
    assert started["channel"]["dialplan"]["app_name"] == "Stasis"
    await world.quiet()
    kinds = world.kinds(leg)
    assert kinds[0] == "Dial"
    assert sorted(kinds[1:3]) == ["Dial RINGING", "Ringing"]
    assert sorted(kinds[3:]) == ["Dial ANSWER", "StasisStart", "Up"]


async def an_originated_leg_can_be_played_to_and_bridged_once_it_has_entered(world: World) -> None:
    leg = await _originated(world, Answers(after=0.2))
    await world.event("StasisStart", leg)
    await world.bridge(leg)
    await world.ari.channels.play(leg, media=LONG)


async def an_originated_leg_that_rings_is_in_no_application(world: World) -> None:
    leg = await _originated(world, NoAnswer(), variables=_MARK)
    await world.event("Dial RINGING", leg)
    (shown,) = [channel for channel in await world.ari.channels.list() if channel.id == leg]
    assert (shown.dialplan.app_name, shown.channelvars) == ("AppDial2", {"DCX_CALL": "c9"})


_MARK = {"DCX_PLAIN": "1", "DCX_CALL": {"value": "c9", "report_events": True}}


async def variables_and_a_caller_id_can_come_with_an_originate(world: World) -> None:
    leg = await _originated(world, Answers(after=0.1), variables=_MARK, caller_id='"Some Name" <+18005550100>')
    started = await world.event("StasisStart", leg)
    assert started["channel"]["channelvars"] == {"DCX_CALL": "c9"}
    assert (await world.ari.channels.get_channel_var(leg, variable="DCX_PLAIN")).value == "1"
    connected = (await world.ari.channels.get(leg)).connected
    assert (connected.name, connected.number) == ("Some Name", "+18005550100")


async def an_id_that_is_taken_is_not_originated_again(world: World) -> None:
    leg = await _originated(world, NoAnswer())
    endpoint = await world.site.endpoint(Answers())
    async with refused(Conflict, status=409):
        await world.ari.channels.originate(endpoint=endpoint, app=world.app, channel_id=leg)


async def _refusal(world: World, script: Refuses, cause: int, status: int, said: str) -> None:
    leg = await _originated(world, script)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (cause, status)
    kinds = world.kinds(leg)
    assert ("Dial RINGING" in kinds) == script.rings
    assert kinds[-3:] == ["ChannelHangupRequest", f"Dial {said}", "ChannelDestroyed"]


async def an_originate_that_is_refused_as_busy(world: World) -> None:
    await _refusal(world, Busy(), 17, 486, "BUSY")


async def an_originate_that_is_congested(world: World) -> None:
    await _refusal(world, Congestion(), 34, 503, "CONGESTION")


async def an_originate_to_an_unknown_number(world: World) -> None:
    await _refusal(world, NoSuchNumber(), 1, 404, "NOANSWER")


async def an_originate_that_is_refused_after_ringing(world: World) -> None:
    await _refusal(world, Refuses(21, 403, 0.2, rings=True), 21, 403, "NOANSWER")


async def an_originate_to_somebody_temporarily_unavailable(world: World) -> None:
    await _refusal(world, Refuses(19, 480), 19, 480, "NOANSWER")


async def an_originate_that_times_out(world: World) -> None:
    leg = await _originated(world, NoAnswer(), timeout_s=1)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (19, 480)
    kinds = world.kinds(leg)
    assert (kinds[0], sorted(kinds[1:3]), kinds[3:]) == ("Dial", ["Dial RINGING", "Ringing"], ["ChannelDestroyed"])


async def an_originate_that_nobody_answers_to_times_out_the_same_way(world: World) -> None:
    leg = await _originated(world, NoAnswer(silent=True), timeout_s=1)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (19, 480)
    assert world.kinds(leg) == ["Dial", "ChannelDestroyed"]


async def the_timeout_of_an_originate_does_not_fire_after_the_answer(world: World) -> None:
    leg = await _originated(world, Answers(after=0.1), timeout_s=1)
    await world.event("StasisStart", leg)
    for _ in range(5):
        await world.quiet()
    assert (await world.ari.channels.get(leg)).state == "Up"


async def an_originated_leg_that_rings_is_cancelled_with_our_cause(world: World) -> None:
    leg = await _originated(world, NoAnswer())
    await world.event("Dial RINGING", leg)
    await world.ari.channels.hangup(leg, reason_code="26")
    ended = await world.event("ChannelDestroyed", leg)
    assert ended["cause"] == 26
    assert "tech_cause" not in ended
    assert "StasisStart" not in world.kinds(leg)
    request = await world.event("ChannelHangupRequest", leg)
    assert (request["cause"], request["soft"]) == (32, True)
    async with refused(Gone, status=404):
        await world.ari.channels.get(leg)


async def an_originated_leg_can_be_dropped_at_once(world: World) -> None:
    leg = await _originated(world, NoAnswer())
    await world.ari.channels.hangup(leg, reason_code="26")
    assert (await world.event("ChannelDestroyed", leg))["cause"] == 26
    assert "StasisStart" not in world.kinds(leg)


async def the_far_end_of_an_originated_leg_hangs_up(world: World) -> None:
    leg = await _originated(world, AnswersThenHangsUp(0.3, after=0.1))
    ended = await world.event("ChannelDestroyed", leg)
    assert ended["cause"] == 16
    assert "tech_cause" not in ended
    assert world.kinds(leg)[-3:] == ENDED_IN_STASIS


async def an_originated_leg_is_hung_up_by_us(world: World) -> None:
    leg = await _originated(world, Answers(after=0.1))
    await world.event("StasisStart", leg)
    await world.ari.channels.hangup(leg, reason_code="26")
    assert (await world.event("ChannelDestroyed", leg))["cause"] == 26
    assert world.kinds(leg)[-3:] == ENDED_IN_STASIS


async def an_originated_leg_answers_when_its_application_has_gone(world: World) -> None:
    """The engine was killed while the phone rang: who answers then is hung up on."""
    async with world.another("dcx-4") as engine:
        leg = await _originated(world, Answers(after=1.0), app="dcx-4")
        await engine.event("Dial RINGING", leg)
    assert (await world.ari.channels.get(leg)).state == "Ringing"
    for _ in range(6):
        await world.quiet()
    async with refused(Gone, status=404):
        await world.ari.channels.get(leg)
