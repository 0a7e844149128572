"""Joining the caller and an answered leg, and parting them again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from dcx_ari.ari.errors import Gone
from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg

# Not plain "mixing": two PJSIP legs would go native and their digits would no longer be seen. The order
# matters, "mixing" after it would allow native again.
_BRIDGE_TYPE = "mixing,dtmf_events"

# A stopped monitor leaves the channel with one of the next frames (every 20 ms). One that starts before that records,
# at random, nothing of what the next buyer says (Asterisk 22.10: 17 of 175 recordings had a silent side after 10 ms,
# none of 130 after 45 ms or more; it looks as if the RTP sequence of the buyer before were kept).
_MONITOR_GONE_S = 0.08


async def open_bridge(call: Call) -> str:
    bridge_id = call.mint("bridge")
    call.bridges[bridge_id] = True
    await call.ari.bridges.create_with_id(bridge_id, type=_BRIDGE_TYPE, variables=call.marks("bridge"))
    return bridge_id


async def early_bridge(call: Call, leg: Leg) -> None:
    """Let an unanswered leg's ringing and early media reach the caller."""
    await call.quiet()
    bridge_id = await open_bridge(call)
    leg.bridge_id = bridge_id
    await call.ari.bridges.add_channel(bridge_id, channel=[call.caller.id, leg.id])


async def join(call: Call, leg: Leg, *, record: bool, **state: Any) -> str | None:
    """Answer the caller, bridge both and, if asked, record. Returns the recording's id.

    Recording starts with the bridge: what came before (menu, whisper) is not in it. `state` is kept with the stage,
    for a process that has to go on with the talk.
    """
    if leg.bridge_id is None:
        _, opened = await asyncio.gather(_ready_caller(call), open_bridge(call))
        leg.bridge_id = opened
    else:
        await _ready_caller(call)
    bridge_id = leg.bridge_id
    recording_id = call.mint("rec") if record else None
    call.recording_id = recording_id
    # The moment of the request is the start of the talk; the event that confirms it comes later.
    since = call.ports.now_ms()
    call.note_stage("talking", leg=leg.id, bridge=bridge_id, recording=recording_id, since=since, **state)
    if not await call.in_stasis(leg):
        await _give_up(call, leg)
        return recording_id
    add = call.add_to_bridge(bridge_id, leg)
    try:
        if recording_id is None:
            await add
        else:
            await asyncio.gather(_record(call, recording_id), add)
    except Gone:
        await _give_up(call, leg)
        return recording_id
    leg.bridged_at = call.ports.now_ms()
    call.nudge()
    call.ports.journal.leg(call.id, leg)
    call.ports.journal.update(call.id, connected_at=leg.bridged_at, buyer_id=leg.buyer_id)
    return recording_id


async def _give_up(call: Call, leg: Leg) -> None:
    """The leg cannot be bridged. Raises CallEnded if it is the caller who has gone."""
    if await call.wait(lambda: not leg.live, 1.0):
        return
    with contextlib.suppress(Gone):
        await call.ari.channels.hangup(leg.id)


async def _record(call: Call, recording_id: str) -> None:
    talks = [other.ended_at for other in call.legs.values() if other.bridged_at is not None and other.ended_at]
    if talks:
        await asyncio.sleep(max(0.0, _MONITOR_GONE_S - (call.ports.now_ms() - max(talks)) / 1000))
    await call.ports.recorder.start(call.id, recording_id, call.caller.id, call.ports.now_ms())


async def _ready_caller(call: Call) -> None:
    if call.caller.answered:
        await call.quiet()
    else:
        await call.answer()


async def part(call: Call, leg: Leg) -> None:
    """The leg has gone and the caller stays: stop the recording and put the bridge away."""
    await stop_recording(call)
    if leg.bridge_id is not None:
        await close_bridge(call, leg.bridge_id)


async def stop_recording(call: Call) -> None:
    recording_id, call.recording_id = call.recording_id, None
    if recording_id is not None:
        await call.ports.recorder.stop(recording_id, call.ports.now_ms())


async def close_bridge(call: Call, bridge_id: str) -> None:
    if call.bridges.pop(bridge_id, False):
        with contextlib.suppress(Gone):
            await call.ari.bridges.destroy(bridge_id)
