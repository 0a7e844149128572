"""Dialling one or several legs for a caller who waits.

A leg is originated: one request, and the INVITE is out. It is in Stasis only after its answer. Only a leg whose early
media is to be heard has to be in a bridge before: it is created, waited for in Stasis (dialling it earlier is refused,
see the ARI trap of 409 "not in Stasis"), bridged, then dialled. Losers of a simultaneous dial are released as
"completed elsewhere" (Q.850 26), so that phones do not log a missed call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dcx_ari.ari.errors import AriError, EndpointUnavailable, Gone
from dcx_ari.call.bridging import early_bridge
from dcx_ari.call.call import Call
from dcx_ari.call.leg import Ended, Leg
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.causes import Cause, LegResult

_GRACE_S = 2.0  # Asterisk's own dial timer fires first; ours is for the day that it does not

Confirm = Callable[[Leg], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial. `endpoint` is Asterisk's (`PJSIP/+15550100@trunk1`); `caller_id` the number shown.

    `headers` are added to the INVITE.
    """

    endpoint: str
    caller_id: str = ""
    caller_name: str = ""
    ring_timeout_s: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)
    buyer_id: int | None = None
    group_id: int | None = None
    trunk_id: int | None = None


def new_legs(call: Call, targets: Sequence[Target]) -> list[Leg]:
    """A leg for each target, named and known to the call; nothing is sent yet."""
    return [_new_leg(call, target) for target in targets]


async def dial(
    call: Call,
    legs: Sequence[Leg],
    targets: Sequence[Target],
    *,
    budget_s: float,
    early_media: bool = False,
    confirm: Confirm | None = None,
) -> Leg | None:
    """Ring all `legs` at once; the first that answers, and confirms, wins. None if nobody did.

    `budget_s` bounds the ringing of every leg besides its own `ring_timeout_s`. Early media can be passed only
    when one leg is dialled. Afterwards each leg's `result` tells how it ended.
    """
    if len(legs) == 1:
        return (
            _accept(call, legs[0]) if await _ring(call, legs[0], targets[0], budget_s, early_media, confirm) else None
        )
    rings = [
        asyncio.create_task(_ring(call, leg, target, budget_s, False, confirm), name=f"ring {leg.id}")
        for leg, target in zip(legs, targets, strict=True)
    ]
    winner: Leg | None = None
    pending = set(rings)
    try:
        while pending and winner is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for leg, ring in zip(legs, rings, strict=True):
                if ring in done and ring.result() and winner is None:
                    winner = _accept(call, leg)
        for leg in legs:
            # Also one that answered in the same instant: it lost, and nothing of it may count.
            leg.cancelled = leg.cancelled or (winner is not None and leg is not winner and leg.live)
    finally:
        await cancel_and_wait(*rings)
        for ring in rings:
            if not ring.cancelled():
                ring.exception()  # the same CallEnded in each: one of them is being raised
        await asyncio.gather(*(release(call, leg) for leg in legs if leg is not winner))
    return winner


def _new_leg(call: Call, target: Target) -> Leg:
    leg = Leg(
        call.mint("leg"),
        endpoint=target.endpoint,
        buyer_id=target.buyer_id,
        group_id=target.group_id,
        trunk_id=target.trunk_id,
        position=len(call.legs) + 1,
    )
    call.legs[leg.id] = leg
    return leg


def _accept(call: Call, leg: Leg) -> Leg:
    """The leg has the call. Only one of a simultaneous ring comes here: a conversion may hang on it."""
    leg.accepted_at = call.ports.now_ms()
    call.nudge()
    return leg


async def _ring(
    call: Call, leg: Leg, target: Target, budget_s: float, early_media: bool, confirm: Confirm | None
) -> bool:
    """Dial one leg; True when it has answered and confirmed. A leg that has not is released."""
    won = False
    try:
        won = await _until_answered(call, leg, target, min(target.ring_timeout_s, budget_s), early_media)
        if won and confirm is not None:
            won = await call.in_stasis(leg) and await confirm(leg) and leg.live
            if not won:
                leg.failed = leg.failed or LegResult.NOT_ACCEPTED
        return won
    finally:
        if leg.created:
            call.ports.journal.leg(call.id, leg)
        if not won and leg.created and leg.live:
            await release(call, leg)


async def _until_answered(call: Call, leg: Leg, target: Target, timeout_s: float, early_media: bool) -> bool:
    call.require()  # nobody's phone rings for a caller who has gone
    leg.created, leg.dialled_at = True, call.ports.now_ms()
    way = _dial_with_early_media if early_media else _originate
    try:
        sent = await way(call, leg, target, max(1, round(timeout_s)))
    except EndpointUnavailable:
        leg.failed, leg.cancelled, sent = LegResult.UNREACHABLE, True, False
        call.note("unreachable", leg=leg.id, endpoint=target.endpoint)
        _never_was(call, leg)
    except AriError as error:
        leg.failed, sent = LegResult.UNREACHABLE, False
        call.note("dial_failed", leg=leg.id, error=str(error))
    # Rows after the request: what they take is time in which the phone rings already.
    call.nudge()
    call.ports.journal.leg(call.id, leg)
    if not sent:
        return False
    call.note("dialling", leg=leg.id, endpoint=leg.endpoint, ring_timeout_s=timeout_s)
    if not await call.wait(lambda: leg.settled, timeout_s + _GRACE_S):
        leg.failed = LegResult.NO_ANSWER if leg.ringing_at else LegResult.UNREACHABLE
    return leg.answered and leg.live


async def _originate(call: Call, leg: Leg, target: Target, timeout_s: int) -> bool:
    await call.ari.channels.originate(
        endpoint=target.endpoint,
        app=call.app,
        app_args="leg",
        # Not the function CONNECTEDLINE(), which gives the same From: a variable that is a function is set under the
        # channel's lock, and has dead-locked an Asterisk (22.9.0) that way.
        caller_id=_caller_id(target.caller_name, target.caller_id) if target.caller_id else None,
        timeout_s=timeout_s,
        variables=_variables(call, target),
        channel_id=leg.id,
    )
    return True


async def _dial_with_early_media(call: Call, leg: Leg, target: Target, timeout_s: int) -> bool:
    variables = _variables(call, target)
    if target.caller_id:
        # CALLERID() on a created channel gives "Anonymous"; the connected line becomes From.
        variables["CONNECTEDLINE(all)"] = _caller_id(target.caller_name, target.caller_id)
    await call.ari.channels.create(
        endpoint=target.endpoint, app=call.app, app_args="leg", channel_id=leg.id, variables=variables
    )
    if not await call.in_stasis(leg):
        leg.failed = LegResult.UNREACHABLE
        return False
    await early_bridge(call, leg)
    await call.ari.channels.dial(leg.id, timeout_s=timeout_s)
    return True


def _variables(call: Call, target: Target) -> dict[str, Any]:
    return call.marks("leg") | {f"PJSIP_HEADER(add,{name})": value for name, value in target.headers.items()}


def _never_was(call: Call, leg: Leg) -> None:
    """A leg for which Asterisk made no channel is over at once: no event will come."""
    leg.end(Ended(20, None), call.ports.now_ms())


def _caller_id(name: str, number: str) -> str:
    """`"Name" <number>`, with nothing in it that could end the quotes or the header."""
    clean_name = "".join(c for c in name if c.isprintable() and c not in '"\\<>,;')[:80]
    clean_number = "".join(c for c in number if c.isalnum() or c in "+*#._-")[:80]
    return f'"{clean_name}" <{clean_number}>'


async def release(call: Call, leg: Leg) -> None:
    """Hang up a leg that is not wanted any more; at once, without waiting for its end."""
    if not leg.live:
        return
    if not leg.answered and leg.failed is None:
        leg.cancelled = True
    # 26 tells a phone that somebody else took the call; a leg that rang out is released the ordinary way.
    code = Cause.ANSWERED_ELSEWHERE if leg.cancelled else Cause.NORMAL
    with contextlib.suppress(Gone):
        await call.ari.channels.hangup(leg.id, reason_code=str(code))
