"""Go on with a call that another process began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dcx_ari.call.call import Call
from dcx_ari.call.leftovers import put_away, quieten
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Held
from dcx_ari.call.runner import Flow
from dcx_ari.call.saved import Saved
from dcx_ari.decide.reasons import FailureReason
from dcx_ari.decide.recovery import TALKING, Enter, Finish, Talk
from dcx_ari.flows.fallback import fall_back
from dcx_ari.flows.inbound import Documents, inbound
from dcx_ari.flows.offer import until_parted
from dcx_ari.flows.sell import resume_talk


def resumed(
    saved: Saved, verdict: Talk | Enter | Finish, documents: Documents, fresh: Callable[[], Awaitable[None]]
) -> Flow:
    """The flow for a call that is taken over."""

    async def flow(call: Call) -> None:
        match verdict:
            case Talk():
                await put_away(call, verdict.release, verdict.clear)
                reason = await _talk(call, saved, call.legs[verdict.leg])
                if reason is not None:
                    call.failure_reason = reason
                    await fall_back(call, None, reason)
            case Enter():
                await put_away(call, verdict.release, verdict.clear)
                await quieten(call, saved.stage_data.get("plays"))
                await _restore(call, saved, None)
                await inbound(documents, fresh, verdict.node)(call)
            case Finish():
                await _finish(call, saved, verdict)

    return flow


async def _talk(call: Call, saved: Saved, leg: Leg) -> FailureReason | None:
    if saved.stage != TALKING:
        _catch_up(call, saved, leg)
    held = await _restore(call, saved, leg)
    if held is not None:
        return await resume_talk(call, leg, held)
    await until_parted(call, leg)
    call.ended_by = "buyer"
    return None


def _catch_up(call: Call, saved: Saved, leg: Leg) -> None:
    """They were joined in the last moment before the kill: write down what was not committed any more."""
    attempt, group_attempt = _attempt(saved, leg)
    state = {
        **saved.stage_data,
        "leg": leg.id,
        "bridge": leg.bridge_id,
        "recording": call.recording_id,
        "since": leg.bridged_at,
        "attempt": attempt,
        "group_attempt": group_attempt,
    }
    call.note_stage(TALKING, **state)
    if leg.buyer_id is not None:
        call.sold_to(leg.buyer_id, leg.group_id)
    call.ports.journal.leg(call.id, leg)
    call.ports.journal.update(
        call.id, answered_at=call.caller.answered_at, connected_at=leg.bridged_at, status="IN_PROGRESS"
    )


async def _finish(call: Call, saved: Saved, verdict: Finish) -> None:
    """The caller has gone, at some time between then and now: close the call with what is known of it."""
    await put_away(call, verdict.release, verdict.clear)
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
