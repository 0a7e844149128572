"""What a campaign does with a caller whom nobody took."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.endpoints import dialable
from dcx_ari.decide.reasons import FailureReason, word
from dcx_ari.decide.rows import Fallback
from dcx_ari.flows.nodes.voicemail import Voicemail, message_under_way
from dcx_ari.flows.offer import talk
from dcx_ari.flows.prompts import say

_SORRY = "We are sorry. Nobody can take your call right now. Please try again later."
_RING_S = 30.0


async def fall_back(call: Call, campaign_id: int | None, reason: FailureReason) -> None:
    """The campaign's fallbacks for this reason in order, until one ends the call; an apology if there is none."""
    snapshot = call.ports.desk.snapshot()
    number = snapshot.number(call.facts.dialled)
    campaign = snapshot.campaigns.get(campaign_id or (number.campaign_id if number else None) or 0)
    for fallback in campaign.fallbacks if campaign is not None else ():
        if fallback.on in (reason, "any", word(reason).replace(" ", "_")) and await _take(call, fallback):
            return
    await _apologise(call, _SORRY)


async def _take(call: Call, fallback: Fallback) -> bool:
    call.note("fallback", kind=fallback.kind, on=fallback.on)
    match fallback.kind:
        case "forward":
            return await _forward(call, fallback.value)
        case "announcement":
            await _apologise(call, fallback.value or _SORRY)
        case "voicemail":
            return await _take_message(call, Voicemail(say=fallback.value or None))
        case "hangup":
            call.end(Cause.CONGESTION)
    return True


async def resumed_message(call: Call) -> bool:
    """Go on with the message that a fallback was taking when the call was taken over; False if there is none."""
    return await message_under_way(call) is not None and await _take_message(call, Voicemail())


async def _take_message(call: Call, box: Voicemail) -> bool:
    taken = await box.take(call)
    call.end(Cause.NORMAL)
    return taken


async def _forward(call: Call, destination: str) -> bool:
    way = dialable(destination, call.ports.desk.snapshot().trunks)
    if way is None:
        call.note("no_trunk", endpoint=destination)
        return False
    targets = [Target(way.endpoint, call.shown_number, call.facts.caller_name, _RING_S, trunk_id=way.trunk_id)]
    legs = new_legs(call, targets)
    await call.ring()
    await call.stage("ringing", endpoints=[way.endpoint])
    if await dial(call, legs, targets, budget_s=_RING_S) is None:
        return False
    await talk(call, legs[0], record=call.ports.desk.records(call))
    call.ended_by = "buyer"
    return True


async def _apologise(call: Call, text: str) -> None:
    await call.quiet()
    await call.answer()
    await say(call, text=text, sound=None)
    call.end(Cause.CONGESTION)
