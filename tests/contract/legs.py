"""Legs: creating, dialling, how they end."""

from dcx_ari.ari.errors import BadRequest, Conflict, EndpointUnavailable, Gone
from dcx_ari.testing import (
    Answers,
    AnswersThenHangsUp,
    Busy,
    Congestion,
    NoAnswer,
    NoSuchNumber,
    Refuses,
    Unreachable,
)
from tests.contract.world import LONG, World, refused

END = ["ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"]


async def a_leg_is_created_down_and_in_stasis(world: World) -> None:
    leg = await world.created()
    started = await world.event("StasisStart", leg)
    assert started["args"] == ["out"]
    assert started["channel"]["state"] == "Down"
    assert started["channel"]["dialplan"]["app_data"] == f"{world.app},out"
    assert world.kinds(leg) == ["StasisStart"]


async def a_taken_channel_id_is_a_conflict(world: World) -> None:
    leg = await world.created()
    endpoint = await world.site.endpoint(Answers())
    async with refused(Conflict, status=409):
        await world.ari.channels.create(endpoint=endpoint, app=world.app, channel_id=leg)


async def an_unregistered_endpoint_is_unavailable(world: World) -> None:
    endpoint = await world.site.endpoint(Unreachable())
    # The status is 500, or 409 where Asterisk remembers an earlier clash of ids.
    async with refused(EndpointUnavailable):
        await world.ari.channels.create(endpoint=endpoint, app=world.app, channel_id=world.id("leg"))
    async with refused(EndpointUnavailable):
        await world.ari.channels.originate(endpoint=endpoint, app=world.app, channel_id=world.id("leg"))
    async with refused(EndpointUnavailable):
        await world.ari.channels.create(endpoint="NoSuchTech/x", app=world.app, channel_id=world.id("leg"))


async def a_malformed_endpoint_is_a_bad_request(world: World) -> None:
    async with refused(BadRequest, status=400):
        await world.ari.channels.originate(endpoint="garbage", app=world.app)
    async with refused(BadRequest, status=400):
        await world.ari.channels.originate(endpoint=await world.site.endpoint(Answers()))


async def an_answered_leg_rings_then_is_up(world: World) -> None:
    leg = await world.answered(Answers(after=0.3))
    await world.quiet()
    kinds = world.kinds(leg)
    assert kinds[:2] == ["StasisStart", "Dial"]
    # Two topics inside Asterisk: which of the two comes first is not fixed.
    assert sorted(kinds[2:4]) == ["Dial RINGING", "Ringing"]
    assert sorted(kinds[4:]) == ["Dial ANSWER", "Up"]
    assert (await world.ari.channels.get(leg)).state == "Up"


async def early_media_is_dial_progress(world: World) -> None:
    leg = await world.answered(Answers(after=0.4, early_media_after=0.1))
    assert "Dial PROGRESS" in world.kinds(leg)
    assert "Dial RINGING" not in world.kinds(leg)


async def a_leg_cannot_be_dialled_twice(world: World) -> None:
    leg = await world.answered()
    async with refused(Conflict, status=409):
        await world.ari.channels.dial(leg, timeout_s=5)


async def _refusal(world: World, script: Refuses, cause: int, status: int) -> None:
    leg = await world.dialled(script)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (cause, status)
    kinds = world.kinds(leg)
    assert kinds[:2] == ["StasisStart", "Dial"]
    assert kinds[-3:] == END
    assert not [name for name in kinds if name.startswith("Dial ") and name != "Dial RINGING"]
    async with refused(Gone, status=404):
        await world.ari.channels.get(leg)


async def busy_is_cause_17(world: World) -> None:
    await _refusal(world, Busy(), 17, 486)


async def congestion_is_cause_34(world: World) -> None:
    await _refusal(world, Congestion(), 34, 503)


async def an_unknown_number_is_cause_1(world: World) -> None:
    await _refusal(world, NoSuchNumber(), 1, 404)


async def a_refusal_is_cause_21(world: World) -> None:
    await _refusal(world, Refuses(21, 403, 0.2, rings=True), 21, 403)


async def temporarily_unavailable_is_cause_19(world: World) -> None:
    await _refusal(world, Refuses(19, 480), 19, 480)


async def a_dial_that_times_out_is_cause_19_with_a_made_up_480(world: World) -> None:
    leg = await world.dialled(NoAnswer(), timeout_s=1)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (19, 480)
    request = await world.event("ChannelHangupRequest", leg)
    assert (request["cause"], request["soft"]) == (32, True)
    assert "tech_cause" not in request


async def silence_times_out_the_same_way(world: World) -> None:
    leg = await world.dialled(NoAnswer(silent=True), timeout_s=1)
    ended = await world.event("ChannelDestroyed", leg)
    assert (ended["cause"], ended["tech_cause"]) == (19, 480)
    assert "Dial RINGING" not in world.kinds(leg)


async def the_dial_timeout_does_not_fire_after_the_answer(world: World) -> None:
    leg = await world.dialled(Answers(after=0.1), timeout_s=1)
    await world.event("Dial ANSWER", leg)
    await world.ari.channels.play(leg, media=LONG)
    for _ in range(5):
        await world.quiet()
    assert (await world.ari.channels.get(leg)).state == "Up"


async def a_ringing_leg_is_cancelled_with_our_cause(world: World) -> None:
    leg = await world.dialled(NoAnswer())
    await world.event("Dial RINGING", leg)
    await world.ari.channels.hangup(leg, reason_code="26")
    ended = await world.event("ChannelDestroyed", leg)
    assert ended["cause"] == 26
    assert "tech_cause" not in ended
    assert world.kinds(leg)[-3:] == END
    request = await world.event("ChannelHangupRequest", leg)
    assert (request["cause"], request["soft"]) == (32, True)


async def a_reason_is_a_cause_by_name(world: World) -> None:
    leg = await world.answered()
    async with refused(BadRequest, status=400):
        await world.ari.channels.hangup(leg, reason="because")
    await world.ari.channels.hangup(leg, reason="busy")
    assert (await world.event("ChannelDestroyed", leg))["cause"] == 17


async def without_a_reason_the_cause_is_16(world: World) -> None:
    leg = await world.answered()
    await world.ari.channels.hangup(leg)
    assert (await world.event("ChannelDestroyed", leg))["cause"] == 16
    async with refused(Gone, status=404):
        await world.ari.channels.hangup(leg)


async def a_created_leg_can_be_dropped_undialled(world: World) -> None:
    leg = await world.created()
    await world.ari.channels.hangup(leg)
    ended = await world.event("ChannelDestroyed", leg)
    # Asked to end twice: SIP's own refusal of an INVITE that was never sent is the second.
    assert (ended["cause"], ended["tech_cause"]) == (16, 603)
    kinds = ["ChannelHangupRequest", "StasisEnd", "ChannelHangupRequest", "ChannelDestroyed"]
    assert world.kinds(leg) == ["StasisStart", *kinds]


async def the_far_end_hangs_up(world: World) -> None:
    leg = await world.answered(AnswersThenHangsUp(0.3, after=0.1))
    ended = await world.event("ChannelDestroyed", leg)
    assert ended["cause"] == 16
    assert "tech_cause" not in ended
    request = await world.event("ChannelHangupRequest", leg)
    assert request["cause"] == 16
    assert "soft" not in request
    assert world.kinds(leg)[-3:] == END


async def every_verb_on_a_channel_that_is_gone_says_so(world: World) -> None:
    channels, nobody = world.ari.channels, world.id("nobody")
    bridge = await world.bridge()
    for request in (
        channels.get(nobody),
        channels.answer(nobody),
        channels.dial(nobody),
        channels.hangup(nobody),
        channels.ring(nobody),
        channels.start_moh(nobody),
        channels.stop_moh(nobody),
        channels.play(nobody, media=LONG),
        channels.set_channel_var(nobody, variable="X", value="1"),
        channels.get_channel_var(nobody, variable="X"),
        channels.send_dtmf(nobody, dtmf="1"),
        channels.move(nobody, app=world.app),
        channels.record(nobody, name=world.id("r"), format="wav"),
        channels.snoop_channel(nobody, app=world.app, spy="in"),
        world.ari.bridges.add_channel(bridge, channel=nobody),
        world.ari.bridges.remove_channel(bridge, channel=nobody),
    ):
        async with refused(Gone):
            await request
