"""Live recordings of channels, bridges and snoops."""

from dcx_ari.ari.errors import BadRequest, Conflict, Gone
from tests.contract.world import World, refused


async def a_bridge_is_recorded(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg)
    name = world.id("rec")
    made = await world.ari.bridges.record(bridge, name=name, format="wav")
    assert made.target_uri == f"bridge:{bridge}"
    await world.event("RecordingStarted", name)
    assert (await world.ari.recordings.get_live(name)).state == "recording"
    async with refused(Conflict, status=409):
        await world.ari.bridges.record(bridge, name=name, format="wav")
    await world.ari.recordings.pause(name)
    await world.ari.recordings.unpause(name)
    await world.ari.recordings.mute(name)
    await world.ari.recordings.unmute(name)
    await world.ari.recordings.stop(name)
    assert (await world.event("RecordingFinished", name))["recording"]["state"] == "done"
    await world.quiet()
    async with refused(Gone, status=404):
        await world.ari.recordings.stop(name)
    assert (await world.ari.recordings.get_stored(name)).format == "wav"
    async with refused(Conflict, status=409):
        await world.ari.bridges.record(bridge, name=name, format="wav")
    await world.ari.recordings.delete_stored(name)
    async with refused(Gone, status=404):
        await world.ari.recordings.get_stored(name)


async def the_recording_of_a_bridge_ends_with_its_last_member(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg)
    name = world.id("rec")
    await world.ari.bridges.record(bridge, name=name, format="wav")
    await world.event("RecordingStarted", name)
    await world.ari.channels.hangup(leg)
    await world.event("RecordingFinished", name)
    await world.ari.recordings.delete_stored(name)


async def a_bridged_channel_cannot_be_recorded(world: World) -> None:
    leg = await world.answered()
    await world.bridge(leg)
    name = world.id("rec")
    await world.ari.channels.record(leg, name=name, format="wav")
    failed = await world.event("RecordingFailed", name)
    assert failed["recording"]["cause"] == "Cannot record channel while in bridge"


async def a_caller_is_recorded_until_the_end(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    name = world.id("rec")
    await world.ari.channels.record(caller.channel_id, name=name, format="wav")
    await world.event("RecordingStarted", name)
    await caller.hang_up()
    await world.event("RecordingFinished", name)
    await world.ari.recordings.delete_stored(name)


async def a_snoop_is_recorded_until_its_target_ends(world: World) -> None:
    leg = await world.answered()
    snoop, name = world.id("snoop"), world.id("rec")
    await world.ari.channels.snoop_channel_with_id(leg, snoop, app=world.app, spy="in")
    await world.event("StasisStart", snoop)
    await world.ari.channels.record(snoop, name=name, format="wav")
    await world.event("RecordingStarted", name)
    await world.ari.channels.hangup(leg)
    await world.event("RecordingFinished", name)
    await world.event("StasisEnd", snoop)
    await world.ari.recordings.delete_stored(name)


async def names_and_formats_are_checked(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    async with refused(BadRequest):
        await world.ari.channels.record(caller.channel_id, name="../x", format="wav")
    async with refused(BadRequest, status=422):
        await world.ari.channels.record(caller.channel_id, name=world.id("rec"), format="nosuch")
