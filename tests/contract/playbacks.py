"""Playbacks: order, ends, failures."""

from dcx_ari.ari.errors import BadRequest, Gone, ServerFault
from dcx_ari.testing import AnswersThenHangsUp
from tests.contract.world import LONG, MISSING, SHORT, World, refused


async def _start(world: World, leg: str, *media: str) -> str:
    playback = world.id("p")
    await world.ari.channels.play_with_id(leg, playback, media=list(media))
    return playback


async def _finished(world: World, playback: str) -> str:
    event = await world.event("PlaybackFinished", playback)
    state: str = event["playback"]["state"]
    return state


async def a_playback_starts_and_finishes(world: World) -> None:
    leg = await world.answered()
    playback = world.id("p")
    made = await world.ari.channels.play_with_id(leg, playback, media=SHORT)
    assert (made.media_uri, made.target_uri) == (SHORT, f"channel:{leg}")
    assert made.state in ("queued", "playing")  # it may have begun before the answer was written
    assert await _finished(world, playback) == "done"
    assert world.kinds(playback) == ["PlaybackStarted", "PlaybackFinished"]
    await world.quiet()
    async with refused(Gone, status=404):
        await world.ari.playbacks.get(playback)


async def several_media_are_one_playback(world: World) -> None:
    leg = await world.answered()
    playback = world.id("p")
    made = await world.ari.channels.play_with_id(leg, playback, media=[SHORT, SHORT])
    assert made.next_media_uri == SHORT
    assert await _finished(world, playback) == "done"
    kinds = ["PlaybackStarted", "PlaybackContinuing", "PlaybackStarted", "PlaybackFinished"]
    assert world.kinds(playback) == kinds


async def playbacks_of_a_channel_queue_up(world: World) -> None:
    leg = await world.answered()
    first = await _start(world, leg, SHORT)
    second = await _start(world, leg, SHORT)
    assert (await world.ari.playbacks.get(second)).state == "queued"
    await _finished(world, second)
    events = [e for e in world.log.events if e["type"].startswith("Playback")]
    mine = [(e["playback"]["id"], e["type"]) for e in events if e["playback"]["id"] in (first, second)]
    assert mine == [
        (first, "PlaybackStarted"),
        (first, "PlaybackFinished"),
        (second, "PlaybackStarted"),
        (second, "PlaybackFinished"),
    ]


async def a_stopped_playback_is_done(world: World) -> None:
    leg = await world.answered()
    playback = await _start(world, leg, LONG)
    await world.event("PlaybackStarted", playback)
    assert (await world.ari.playbacks.get(playback)).state == "playing"
    await world.ari.playbacks.stop(playback)
    assert await _finished(world, playback) == "done"
    await world.quiet()  # the event comes a little before the playback is forgotten
    async with refused(Gone, status=404):
        await world.ari.playbacks.stop(playback)


async def one_that_is_stopped_in_the_queue_never_starts(world: World) -> None:
    leg = await world.answered()
    await _start(world, leg, SHORT)
    second = await _start(world, leg, LONG)
    await world.ari.playbacks.stop(second)
    assert await _finished(world, second) == "done"
    assert world.kinds(second) == ["PlaybackFinished"]


async def a_missing_file_fails(world: World) -> None:
    leg = await world.answered()
    playback = await _start(world, leg, MISSING)
    assert await _finished(world, playback) == "failed"
    assert world.kinds(playback) == ["PlaybackStarted", "PlaybackFinished"]


async def one_missing_file_of_several_is_passed_over_and_only_the_last_counts(world: World) -> None:
    leg = await world.answered()
    started = ["PlaybackStarted", "PlaybackContinuing", "PlaybackStarted", "PlaybackFinished"]
    for media, state in (((MISSING, SHORT), "done"), ((SHORT, MISSING), "failed")):
        playback = await _start(world, leg, *media)
        assert await _finished(world, playback) == state
        assert world.kinds(playback) == started


async def an_unknown_scheme_starts_and_never_finishes(world: World) -> None:
    leg = await world.answered()
    playback = await _start(world, leg, "bogus:x")
    following = await _start(world, leg, SHORT)
    await _finished(world, following)
    assert world.kinds(playback) == ["PlaybackStarted"]
    async with refused(Gone, status=404):
        await world.ari.playbacks.get(playback)


async def no_media_is_refused(world: World) -> None:
    leg = await world.answered()
    async with refused(ServerFault, status=500):
        await world.ari.channels.play(leg, media=[])


async def the_end_of_the_channel_fails_what_plays_and_may_forget_what_waits(world: World) -> None:
    leg = await world.answered(AnswersThenHangsUp(0.5, after=0.0))
    playing = await _start(world, leg, LONG)
    waiting = await _start(world, leg, LONG)
    assert await _finished(world, playing) == "failed"
    await world.event("ChannelDestroyed", leg)
    await world.quiet()
    # One that waits starts and fails, or is never heard of again: the end of the channel is all there is.
    assert world.kinds(waiting) in ([], ["PlaybackStarted", "PlaybackFinished"])
    async with refused(Gone, status=404):
        await world.ari.playbacks.get(waiting)


async def a_hang_up_in_a_playback_fails_it_before_the_end_is_told(world: World) -> None:
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    playback = await _start(world, caller.channel_id, LONG)
    await world.event("PlaybackStarted", playback)
    await caller.hang_up()
    await world.event("StasisEnd", caller.channel_id)
    told = [
        event
        for event in world.log.events
        if event["type"] in ("ChannelHangupRequest", "PlaybackFinished", "StasisEnd")
    ]
    assert [event["type"] for event in told[-3:]] == ["ChannelHangupRequest", "PlaybackFinished", "StasisEnd"]
    assert told[-2]["playback"]["state"] == "failed"


async def a_playback_can_be_paused(world: World) -> None:
    leg = await world.answered()
    playback = await _start(world, leg, LONG)
    await world.event("PlaybackStarted", playback)
    await world.ari.playbacks.control(playback, operation="pause")
    await world.quiet()
    assert (await world.ari.playbacks.get(playback)).state == "paused"
    await world.ari.playbacks.control(playback, operation="unpause")
    await world.event("PlaybackStarted", playback, times=2)
    assert (await world.ari.playbacks.get(playback)).state == "playing"
    await world.ari.playbacks.control(playback, operation="restart")
    async with refused(BadRequest, status=400):
        await world.ari.playbacks.control(playback, operation="sideways")
    await world.ari.playbacks.stop(playback)
    assert await _finished(world, playback) == "done"


async def a_tone_plays_until_it_is_stopped(world: World) -> None:
    leg = await world.answered()
    playback = await _start(world, leg, "tone:ring;tonezone=us")
    await world.event("PlaybackStarted", playback)
    await world.quiet()
    assert world.kinds(playback) == ["PlaybackStarted"]
    await world.ari.playbacks.stop(playback)
    assert await _finished(world, playback) == "done"


async def an_unanswered_caller_can_be_played_to(world: World) -> None:
    caller = await world.caller()
    playback = await _start(world, caller.channel_id, SHORT)
    assert await _finished(world, playback) == "done"
    assert (await world.ari.channels.get(caller.channel_id)).state == "Ring"


async def a_member_of_a_bridge_can_be_played_to(world: World) -> None:
    leg = await world.answered()
    await world.bridge(leg)
    playback = await _start(world, leg, SHORT)
    assert await _finished(world, playback) == "done"
