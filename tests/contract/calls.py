"""Calls that come in, and the verbs on one channel."""

import asyncio

from dcx_ari.ari.errors import BadRequest, Conflict, Gone, NotInStasis, NotSet, ServerFault
from dcx_ari.testing import Answers
from tests.contract.world import LONG, World, refused


async def a_call_arrives_ringing(world: World) -> None:
    caller = await world.caller()
    started = await world.event("StasisStart", caller.channel_id)
    channel = started["channel"]
    assert channel["state"] == "Ring"
    assert channel["caller"] == {"name": "", "number": "+12125550123"}
    assert channel["protocol_id"]
    assert started["args"] == ["in", f"to=%2B{channel['dialplan']['exten'][1:]}"]


async def a_caller_who_hangs_up_ends_with_stasis_end_and_no_more(world: World) -> None:
    """The application's subscription to a channel that the dialplan sent ends with StasisEnd."""
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    await caller.hang_up()
    await world.event("StasisEnd", caller.channel_id)
    await world.quiet()
    assert world.kinds(caller.channel_id) == ["StasisStart", "Up", "ChannelHangupRequest", "StasisEnd"]
    assert (await world.event("ChannelHangupRequest", caller.channel_id))["cause"] == 16
    async with refused(Gone, status=404):
        await world.ari.channels.get(caller.channel_id)


async def a_caller_whom_we_hang_up_ends_the_same_way(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    await world.ari.channels.hangup(caller.channel_id)
    await world.event("StasisEnd", caller.channel_id)
    await world.quiet()
    assert world.kinds(caller.channel_id) == ["StasisStart", "Up", "ChannelHangupRequest", "StasisEnd"]
    request = await world.event("ChannelHangupRequest", caller.channel_id)
    assert (request["cause"], request["soft"]) == (32, True)


async def a_subscription_of_its_own_brings_channel_destroyed(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    await world.ari.applications.subscribe(world.app, event_source=f"channel:{caller.channel_id}")
    await caller.hang_up()
    assert (await world.event("ChannelDestroyed", caller.channel_id))["cause"] == 16
    # The second request is the dialplan's own Hangup().
    kinds = ["ChannelHangupRequest", "StasisEnd", "ChannelHangupRequest", "ChannelDestroyed"]
    assert world.kinds(caller.channel_id)[-4:] == kinds


async def a_caller_who_gives_up_before_the_answer(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.ring(caller.channel_id)
    await world.quiet()
    await caller.hang_up()
    await world.event("StasisEnd", caller.channel_id)
    request = await world.event("ChannelHangupRequest", caller.channel_id)
    assert "soft" not in request
    assert request["cause"] == 16
    assert "Up" not in world.kinds(caller.channel_id)


async def answering_twice_is_answering_once(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    await world.ari.channels.answer(caller.channel_id)
    assert (await world.ari.channels.get(caller.channel_id)).state == "Up"
    assert world.kinds(caller.channel_id).count("Up") == 1


async def keys_of_the_caller_are_events(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    await world.quiet()
    await caller.press("12#")
    await world.event("ChannelDtmfReceived", caller.channel_id, times=3)
    pressed = [e for e in world.log.about(caller.channel_id) if e["type"] == "ChannelDtmfReceived"]
    assert [event["digit"] for event in pressed] == ["1", "2", "#"]


async def keys_of_a_leg_are_events(world: World) -> None:
    leg = await world.answered(Answers(after=0.0, rings_after=None, presses=[(0.3, "5")]))
    assert (await world.event("ChannelDtmfReceived", leg))["digit"] == "5"


async def the_quick_verbs_say_nothing(world: World) -> None:
    leg = await world.answered()
    before = len(world.kinds(leg))
    channels = world.ari.channels
    await channels.start_moh(leg)
    await channels.start_moh(leg, moh_class="no-such-class")
    await channels.stop_moh(leg)
    await channels.stop_moh(leg)
    await channels.ring(leg)
    await channels.ring_stop(leg)
    await channels.hold(leg)
    await channels.unhold(leg)
    await channels.start_silence(leg)
    await channels.stop_silence(leg)
    await channels.mute(leg, direction="in")
    await channels.unmute(leg, direction="in")
    await channels.send_dtmf(leg, dtmf="1")
    await channels.send_dtmf(leg, dtmf="xyz")
    await world.quiet()
    assert len(world.kinds(leg)) == before
    async with refused(BadRequest, status=400):
        await channels.mute(leg, direction="sideways")


async def variables_are_set_and_read(world: World) -> None:
    leg = await world.created()
    channels = world.ari.channels
    await channels.set_channel_var(leg, variable="DCX_X", value="a b,c")
    assert (await channels.get_channel_var(leg, variable="DCX_X")).value == "a b,c"
    assert (await channels.get_channel_var(leg, variable="CHANNEL(state)")).value == "Down"
    async with refused(NotSet, status=404):
        await channels.get_channel_var(leg, variable="DCX_NEVER_SET")
    async with refused(BadRequest, status=500):
        await channels.get_channel_var(leg, variable="SHELL(id)")


async def a_reported_variable_is_in_every_event(world: World) -> None:
    leg = await world.answered()
    await world.ari.channels.set_channel_var(leg, variable="DCX_CALL", value="c1", report_events=True)
    assert (await world.ari.channels.get(leg)).channelvars == {"DCX_CALL": "c1"}
    await world.ari.channels.hangup(leg)
    assert (await world.event("StasisEnd", leg))["channel"]["channelvars"] == {"DCX_CALL": "c1"}


async def several_variables_at_once(world: World) -> None:
    leg, channels = await world.answered(), world.ari.channels
    await channels.set_channel_vars(leg, variables={"A": "1", "B": {"value": "2", "report_events": True}})
    assert (await channels.get_channel_vars(leg, variables=["A", "B"])).variables == {"A": "1", "B": "2"}
    assert (await channels.get(leg)).channelvars == {"B": "2"}
    async with refused(NotSet, status=404):
        await channels.get_channel_vars(leg, variables=["A", "NOPE"])
    async with refused(BadRequest, status=400):
        await channels.set_channel_vars(leg, variables=[{"name": "A", "value": "1"}])


async def headers_of_a_caller_are_read(world: World) -> None:
    caller = await world.caller()
    channels = world.ari.channels
    async with refused(BadRequest, status=500):
        await channels.get_channel_var(caller.channel_id, variable="PJSIP_HEADER(read,X-Nope)")


async def variables_can_come_with_the_creation(world: World) -> None:
    leg = world.id("leg")
    await world.ari.channels.create(
        endpoint=await world.site.endpoint(Answers()),
        app=world.app,
        channel_id=leg,
        variables={"DCX_PLAIN": "1", "DCX_CALL": {"value": "c9", "report_events": True}},
    )
    started = await world.event("StasisStart", leg)
    assert started["channel"]["channelvars"] == {"DCX_CALL": "c9"}
    assert (await world.ari.channels.get_channel_var(leg, variable="DCX_PLAIN")).value == "1"


async def the_connected_line_is_the_number_that_the_far_end_sees(world: World) -> None:
    leg = world.id("leg")
    await world.ari.channels.create(
        endpoint=await world.site.endpoint(Answers()),
        app=world.app,
        channel_id=leg,
        variables={"CONNECTEDLINE(all)": '"Some Name" <+18005550100>'},
    )
    await world.event("StasisStart", leg)
    connected = (await world.ari.channels.get(leg)).connected
    assert (connected.name, connected.number) == ("Some Name", "+18005550100")


async def a_move_to_oneself_starts_again_with_other_arguments(world: World) -> None:
    leg = await world.answered()
    await world.ari.channels.move(leg, app=world.app, app_args="readopt,x")
    started = await world.event("StasisStart", leg, times=2)
    assert started["args"] == ["readopt", "x"]
    # What /channels shows stays as it was at the first start.
    assert started["channel"]["dialplan"]["app_data"] == f"{world.app},out"
    assert world.kinds(leg)[-2:] == ["StasisEnd", "StasisStart"]


async def a_move_to_another_application(world: World) -> None:
    leg = await world.answered()
    async with world.another("dcx-9") as other:
        await world.ari.channels.move(leg, app="dcx-9", app_args="taken")
        assert (await other.event("StasisStart", leg))["args"] == ["taken"]
        await world.event("StasisEnd", leg)
        await world.ari.channels.hangup(leg)
        await other.event("StasisEnd", leg)
        # The creator keeps the subscription that came with the creation, the new owner has lost its own.
        await world.event("ChannelDestroyed", leg)
        assert "ChannelDestroyed" not in other.kinds(leg)


async def a_move_to_nobody_fails_by_event(world: World) -> None:
    leg = await world.answered()
    await world.ari.channels.move(leg, app="dcx-nobody", app_args="x")
    failed = await world.event("ApplicationMoveFailed", leg)
    assert (failed["destination"], failed["args"]) == ("dcx-nobody", ["x"])
    assert "StasisEnd" not in world.kinds(leg)
    await world.ari.channels.start_moh(leg)


async def a_leg_that_was_never_dialled_cannot_go_on_in_the_dialplan(world: World) -> None:
    leg = await world.created()
    async with refused(Conflict, status=412):
        await world.ari.channels.continue_in_dialplan(leg, context="far", extension="park", priority=1)


async def what_left_stasis_is_refused(world: World) -> None:
    leg, bridge = await world.answered(), await world.bridge()
    await world.ari.channels.continue_in_dialplan(leg, context="far", extension="park", priority=1)
    await world.event("StasisEnd", leg)
    for request in (
        world.ari.channels.answer(leg),
        world.ari.channels.play(leg, media=LONG),
        world.ari.channels.dial(leg),
        world.ari.channels.set_channel_var(leg, variable="a", value="b"),
        world.ari.bridges.add_channel(bridge, channel=leg),
    ):
        async with refused(NotInStasis):
            await request


async def answer_waits_behind_a_playback_and_fails_with_the_call(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.play_with_id(caller.channel_id, world.id("p"), media=LONG)
    answering = asyncio.create_task(world.ari.channels.answer(caller.channel_id))
    await world.quiet()
    assert not answering.done()
    await caller.hang_up()
    async with refused(ServerFault, status=500):
        await answering


async def a_second_hangup_changes_nothing_but_the_cause(world: World) -> None:
    leg = await world.answered()
    await world.ari.channels.play(leg, media=LONG)
    await world.quiet()
    await world.ari.channels.hangup(leg, reason_code="17")
    try:
        await world.ari.channels.hangup(leg, reason_code="34")
    except Gone:
        assert (await world.event("ChannelDestroyed", leg))["cause"] == 17
    else:
        assert (await world.event("ChannelDestroyed", leg))["cause"] == 34


async def rtp_statistics_are_for_sip(world: World) -> None:
    leg = await world.answered()
    assert (await world.ari.channels.rtpstatistics(leg)).channel_uniqueid == leg


async def a_snoop_hears_in_its_own_channel_and_ends_with_its_target(world: World) -> None:
    leg = await world.answered()
    snoop = world.id("snoop")
    made = await world.ari.channels.snoop_channel_with_id(leg, snoop, app=world.app, spy="in", app_args="snoop")
    assert made.state == "Up"
    assert made.name.startswith(f"Snoop/{leg}")
    assert (await world.event("StasisStart", snoop))["args"] == ["snoop"]
    async with refused(ServerFault, status=500):
        await world.ari.channels.snoop_channel_with_id(leg, snoop, app=world.app, spy="in")
    async with refused(BadRequest, status=400):
        await world.ari.channels.snoop_channel(leg, app=world.app, spy="none", whisper="none")
    await world.ari.channels.hangup(leg)
    await world.event("StasisEnd", snoop)
    await world.quiet()
    assert world.kinds(snoop) == ["StasisStart", "StasisEnd"]
    async with refused(Gone):
        await world.ari.channels.get(snoop)


async def a_snoop_can_be_hung_up(world: World) -> None:
    leg = await world.answered()
    snoop = world.id("snoop")
    await world.ari.channels.snoop_channel_with_id(leg, snoop, app=world.app, spy="both", whisper="out")
    await world.event("StasisStart", snoop)
    await world.ari.channels.hangup(snoop)
    await world.event("StasisEnd", snoop)
    await world.quiet()
    assert world.kinds(snoop) == ["StasisStart", "ChannelHangupRequest", "StasisEnd"]
    assert (await world.ari.channels.get(leg)).state == "Up"


async def a_channel_in_the_wrong_state_is_a_conflict(world: World) -> None:
    caller = await world.caller()
    async with refused(Conflict, status=409):
        await world.ari.channels.dial(caller.channel_id)
