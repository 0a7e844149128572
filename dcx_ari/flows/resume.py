"""Go on with a call that another process began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.call.bridging import close_bridge
from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Held
from dcx_ari.call.runner import Flow
from dcx_ari.call.saved import Saved
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.reasons import FailureReason
from dcx_ari.decide.recovery import Enter, Finish, Talk
from dcx_ari.flows.fallback import fall_back
from dcx_ari.flows.inbound import Documents, inbound
from dcx_ari.flows.offer import until_parted
from dcx_ari.flows.sell import resume_talk

_PLAYS_UNSEEN = 12  # prompts that one node may have begun since its stage was written


def resumed(
    saved: Saved, verdict: Talk | Enter | Finish, documents: Documents, fresh: Callable[[], Awaitable[None]]
) -> Flow:
    """The flow for a call that is taken over."""

    async def flow(call: Call) -> None:
        match verdict:
            case Talk():
                await _put_away(call, verdict.release, verdict.clear)
                reason = await _talk(call, saved, call.legs[verdict.leg])
                if reason is not None:
                    call.failure_reason = reason
                    await fall_back(call, None, reason)
            case Enter():
                await _put_away(call, verdict.release, verdict.clear)
                await _quieten(call, saved)
                await _restore(call, saved, None)
                await inbound(documents, fresh, verdict.node)(call)
            case Finish():
                await _finish(call, saved, verdict)

    return flow


async def _talk(call: Call, saved: Saved, leg: Leg) -> FailureReason | None:
    held = await _restore(call, saved, leg)
    if held is not None:
        return await resume_talk(call, leg, held)
    await until_parted(call, leg)
    call.ended_by = "buyer"
    return None


async def _finish(call: Call, saved: Saved, verdict: Finish) -> None:
    """The caller has gone, at some time between then and now: close the call with what is known of it."""
    await _put_away(call, verdict.release, verdict.clear)
    leg = call.legs.get(verdict.talked or "")
    if verdict.node_lost:
        call.failure_reason = "node_lost"
    if leg is None:
        await _restore(call, saved, None)
        call.require()
    else:
        await _talk(call, saved, leg)


async def _restore(call: Call, saved: Saved, leg: Leg | None) -> Held | None:
    for recording_id, started_at in saved.recordings.items():
        call.ports.recorder.resume(call.id, recording_id, call.caller.id, started_at)
        if leg is None or recording_id != call.recording_id:
            await call.ports.recorder.stop(recording_id, call.ports.now_ms())
    attempt, group_attempt = _attempt(saved, leg)
    return await call.ports.desk.restore(call, saved.decision, leg, attempt, group_attempt)


def _attempt(saved: Saved, leg: Leg | None) -> tuple[int | None, int | None]:
    """The attempt that the leg belongs to, and its group's: as the stage of the ringing or of the talk says."""
    data = saved.stage_data
    if leg is None:
        return None, None
    attempts = data.get("attempts")
    known = attempts.get(leg.id) if isinstance(attempts, dict) else None
    number = known[0] if known else data.get("attempt")
    group = data.get("group_attempt")
    return number if isinstance(number, int) else None, group if isinstance(group, int) else None


async def _put_away(call: Call, release: Iterable[str], clear: Iterable[str]) -> None:
    """Channels and bridges of the call that nobody needs any more."""

    async def end(channel_id: str) -> None:
        with contextlib.suppress(AriError):
            await call.ari.channels.hangup(channel_id, reason_code=str(Cause.NORMAL))

    await asyncio.gather(*(end(name) for name in release))
    for bridge_id in clear:
        with contextlib.suppress(AriError):
            await close_bridge(call, bridge_id)


async def _quieten(call: Call, saved: Saved) -> None:
    """End what the caller hears: the next prompt would wait behind it."""
    last = saved.stage_data.get("plays")
    base = last if isinstance(last, int) else (call.generation - 1) * 1000
    ids = [f"{call.id}.play{number}" for number in range(max(1, base - 1), base + _PLAYS_UNSEEN)]

    async def stop(playback_id: str) -> None:
        with contextlib.suppress(Gone):
            await call.ari.playbacks.stop(playback_id)

    await asyncio.gather(*(stop(each) for each in ids))
    with contextlib.suppress(AriError):
        await call.ari.channels.ring_stop(call.caller.id)
        await call.ari.channels.stop_moh(call.caller.id)
