"""Bridges: members, music, digits, what is told of them and when."""

import asyncio

from dcx_ari.ari.errors import BadRequest, Conflict, Gone, NotInStasis, ServerFault
from dcx_ari.testing import Answers, AnswersThenHangsUp
from tests.contract.world import LONG, SHORT, World, refused


async def a_taken_bridge_id_is_a_conflict(world: World) -> None:
    bridge = await world.bridge()
    async with refused(Conflict, status=409):
        await world.ari.bridges.create_with_id(bridge, type="mixing")
    async with refused(Conflict, status=409):
        await world.ari.bridges.create(bridge_id=bridge, type="mixing")
    async with refused(ServerFault, status=500):
        await world.ari.bridges.create_with_id(world.id("bridge"), type="sideways")


async def nobody_is_told_of_an_empty_bridge(world: World) -> None:
    bridge = await world.bridge()
    await world.ari.bridges.destroy(bridge)
    async with refused(Gone, status=404):
        await world.ari.bridges.destroy(bridge)
    async with refused(Gone, status=404):
        await world.ari.bridges.get(bridge)
    await world.quiet()
    assert world.kinds(bridge) == []


async def members_enter_in_order(world: World) -> None:
    one, two = await world.answered(), await world.answered()
    bridge = await world.bridge(one, two)
    await world.event("ChannelEnteredBridge", two)
    entered = [e for e in world.log.about(bridge) if e["type"] == "ChannelEnteredBridge"]
    assert [event["channel"]["id"] for event in entered] == [one, two]
    assert entered[-1]["bridge"]["channels"] == [one, two]
    shown = await world.ari.bridges.get(bridge)
    assert (shown.bridge_type, shown.bridge_class, shown.channels) == ("mixing", "stasis", [one, two])


async def a_removed_member_is_in_stasis_again(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg)
    await world.ari.bridges.remove_channel(bridge, channel=leg)
    await world.event("ChannelLeftBridge", leg)
    await world.ari.channels.start_moh(leg)
    async with refused(Conflict, status=422):
        await world.ari.bridges.remove_channel(bridge, channel=leg)


async def adding_a_member_again_makes_it_leave_and_enter(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg)
    await world.ari.bridges.add_channel(bridge, channel=leg)
    await world.event("ChannelEnteredBridge", leg, times=2)
    kinds = [name for name in world.kinds(leg) if "Bridge" in name]
    assert kinds == ["ChannelEnteredBridge", "ChannelLeftBridge", "ChannelEnteredBridge"]


async def another_bridge_takes_the_member(world: World) -> None:
    leg = await world.answered()
    first = await world.bridge(leg)
    second = await world.bridge(kind="holding")
    await world.ari.bridges.add_channel(second, channel=leg)
    await world.event("ChannelEnteredBridge", second)
    assert (await world.ari.bridges.get(first)).channels == []
    assert world.kinds(first) == ["ChannelEnteredBridge", "ChannelLeftBridge"]
    assert (await world.ari.bridges.get(second)).bridge_type == "holding"


async def who_is_not_in_stasis_cannot_be_bridged(world: World) -> None:
    bridge = await world.bridge()
    leg = world.id("leg")
    endpoint = await world.site.endpoint(Answers(after=5.0))
    await world.ari.channels.originate(endpoint=endpoint, app=world.app, channel_id=leg)
    async with refused(NotInStasis, status=422):
        await world.ari.bridges.add_channel(bridge, channel=leg)
    async with refused(Gone, status=400):
        await world.ari.bridges.add_channel(bridge, channel="nobody")
    async with refused(Gone, status=404):
        await world.ari.bridges.add_channel(world.id("nowhere"), channel=leg)


async def a_member_that_hangs_up_leaves_first(world: World) -> None:
    leg = await world.answered(AnswersThenHangsUp(0.5, after=0.0))
    bridge = await world.bridge(leg)
    await world.event("ChannelDestroyed", leg)
    tail = ["ChannelHangupRequest", "ChannelLeftBridge", "StasisEnd", "ChannelDestroyed"]
    assert world.kinds(leg)[-4:] == tail
    left = await world.event("ChannelLeftBridge", leg)
    assert left["bridge"]["channels"] == []
    # The subscription to the bridge outlives a member that left by hanging up.
    await world.ari.bridges.destroy(bridge)
    await world.event("BridgeDestroyed", bridge)


async def destroying_a_bridge_puts_its_members_out(world: World) -> None:
    one, two = await world.answered(), await world.answered()
    bridge = await world.bridge(one, two)
    await world.ari.bridges.destroy(bridge)
    await world.event("ChannelLeftBridge", one)
    await world.event("ChannelLeftBridge", two)
    await world.quiet()
    assert "BridgeDestroyed" not in world.kinds(bridge)
    assert (await world.ari.channels.get(one)).state == "Up"
    await world.ari.channels.start_moh(two)


async def music_in_a_bridge(world: World) -> None:
    bridge = await world.bridge(kind="holding")
    async with refused(Conflict, status=409):
        await world.ari.bridges.stop_moh(bridge)
    await world.ari.bridges.start_moh(bridge)
    await world.ari.bridges.stop_moh(bridge)


async def a_playback_to_a_bridge(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg, kind="holding")
    playback = world.id("p")
    made = await world.ari.bridges.play_with_id(bridge, playback, media=SHORT)
    assert made.target_uri == f"bridge:{bridge}"
    await world.event("PlaybackFinished", playback)
    assert world.kinds(playback) == ["PlaybackStarted", "PlaybackFinished"]


async def add_channel_waits_behind_a_playback(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge()
    playback = world.id("p")
    await world.ari.channels.play_with_id(leg, playback, media=LONG)
    await world.event("PlaybackStarted", playback)
    adding = asyncio.create_task(world.ari.bridges.add_channel(bridge, channel=leg))
    await world.quiet()
    assert not adding.done()
    await world.ari.playbacks.stop(playback)
    await adding
    await world.event("ChannelEnteredBridge", leg)
    kinds = world.kinds(leg)
    assert kinds[-1] == "ChannelEnteredBridge"


async def add_channel_behind_a_playback_when_the_far_end_goes(world: World) -> None:
    leg = await world.answered(AnswersThenHangsUp(0.5, after=0.0))
    bridge = await world.bridge()
    await world.ari.channels.play_with_id(leg, world.id("p"), media=LONG)
    await world.ari.bridges.add_channel(bridge, channel=leg)
    await world.event("ChannelDestroyed", leg)
    tail = ["ChannelEnteredBridge", "ChannelLeftBridge", "StasisEnd", "ChannelDestroyed"]
    assert world.kinds(leg)[-4:] == tail


async def in_a_plain_bridge_of_two_digits_are_not_told(world: World) -> None:
    one = await world.answered(Answers(after=0.0, rings_after=None, presses=[(0.6, "7")]))
    two = await world.answered()
    bridge = await world.bridge(one, two)
    for _ in range(4):
        await world.quiet()
    assert (await world.ari.bridges.get(bridge)).technology == "native_rtp"
    assert "ChannelDtmfReceived" not in world.kinds(one)


async def with_dtmf_events_digits_are_told(world: World) -> None:
    one = await world.answered(Answers(after=0.0, rings_after=None, presses=[(0.6, "7")]))
    two = await world.answered()
    bridge = await world.bridge(one, two, kind="mixing,dtmf_events")
    assert (await world.event("ChannelDtmfReceived", one))["digit"] == "7"
    assert (await world.ari.bridges.get(bridge)).technology == "simple_bridge"


async def three_members_make_a_softmix(world: World) -> None:
    members = [await world.answered() for _ in range(3)]
    bridge = await world.bridge(*members)
    await world.quiet()
    assert (await world.ari.bridges.get(bridge)).technology == "softmix"


async def a_bridge_carries_variables(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge()
    await world.ari.bridges.set_bridge_var(bridge, variable="DCX_CALL", value="c1", report_events=True)
    assert (await world.ari.bridges.get_bridge_var(bridge, variable="DCX_CALL")).value == "c1"
    assert (await world.ari.bridges.get(bridge)).bridgevars == {"DCX_CALL": "c1"}
    await world.ari.bridges.set_bridge_vars(bridge, variables={"A": "1"})
    shown = (await world.ari.bridges.get_bridge_vars(bridge, variables=["A", "DCX_CALL"])).variables
    assert shown == {"A": "1", "DCX_CALL": "c1"}
    await world.ari.bridges.add_channel(bridge, channel=leg)
    entered = await world.event("ChannelEnteredBridge", leg)
    assert entered["bridge"]["bridgevars"] == {"DCX_CALL": "c1"}


async def the_channel_is_needed(world: World) -> None:
    bridge = await world.bridge()
    async with refused(BadRequest, status=400):
        await world.ari.bridges.add_channel(bridge, channel=[])
