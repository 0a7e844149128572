"""Sell one call: offer the caller to the buyers of a Decision, in order, until somebody takes it.

Every attempt reserves its caps before it dials and settles them after; the caller is greeted once and hears
ringing or music all the while.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from dcx_ari.call.bridging import join
from dcx_ari.call.call import GENERATION, Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.call.errors import CallEnded
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Desk, Held
from dcx_ari.decide.causes import LegResult
from dcx_ari.decide.decision import Decision, Step
from dcx_ari.decide.endpoints import dialable
from dcx_ari.decide.reasons import FailureReason
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.rows import Buyer, Campaign
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.meter import Meter, Rules
from dcx_ari.flows.offer import Terms, accepted, until_parted
from dcx_ari.flows.prompts import fill
from dcx_ari.flows.ringing import let_hear, let_hear_soon

log = logging.getLogger(__name__)

_LEAST_RING_S = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reserved leg about to be dialled."""

    number: int
    buyer: Buyer
    target: Target
    terms: Terms
    rules: Rules


@dataclass(slots=True)
class Sale:
    """Where the selling of one call stands."""

    call: Call
    campaign: Campaign
    snapshot: Snapshot
    deadline_ms: int
    results: list[str] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)
    attempts: int = 0
    numbers: int = 0
    connections: int = 0

    @property
    def desk(self) -> Desk:
        return self.call.ports.desk

    @property
    def left_s(self) -> float:
        return (self.deadline_ms - self.call.ports.now_ms()) / 1000

    def next_number(self) -> int:
        """The next attempt's: never one that a process before this one has used."""
        self.numbers += 1
        return self.call.generation * GENERATION + self.numbers


async def sell(call: Call, campaign_id: int | None = None) -> FailureReason | None:
    """Offer the caller to the campaign's buyers. None if one took the call, else the failure reason.

    When it returns, the caller is still there: fallbacks are the caller's business. Raises `CallEnded`.
    """
    desk = call.ports.desk
    decision = await desk.route(call, campaign_id, frozenset(), 0)
    if not decision.ranked or decision.campaign_id is None:
        return decision.failure_reason or "no_buyers_attached"
    snapshot = _decided_on(decision, desk)
    campaign = snapshot.campaigns[decision.campaign_id]
    return await _sell(Sale(call, campaign, snapshot, _deadline(call, decision)), decision, campaign_id)


async def resume_talk(call: Call, leg: Leg, held: Held) -> FailureReason | None:
    """Go on with a talk that another process began; then as `sell`. What it has booked already stays booked once."""
    desk, decision = call.ports.desk, held.decision
    try:
        async with Meter(call, leg, held.buyer, held.attempt, held.rules):
            talk_s = await until_parted(call, leg)
            call.ended_by = "buyer"
    finally:
        await desk.settle(call, held.attempt, connected=True)
    snapshot = desk.snapshot()
    campaign = snapshot.campaigns.get(decision.campaign_id or 0)
    if campaign is None:
        return None
    tried = {each.buyer_id for each in call.legs.values() if each.buyer_id is not None}
    sale = Sale(call, campaign, snapshot, _deadline(call, decision), tried=tried, attempts=len(tried), connections=1)
    return await _after(sale, _Taken(leg, talk_s), decision.campaign_id)


async def _sell(sale: Sale, decision: Decision, campaign_id: int | None) -> FailureReason | None:
    taken = await _offer_all(sale, decision)
    if taken is None:
        return decision.failure(tuple(sale.results))
    return await _after(sale, taken, campaign_id)


async def _after(sale: Sale, taken: _Taken, campaign_id: int | None) -> FailureReason | None:
    """A buyer has hung up: the call is over, or goes to the next."""
    if not _recover(sale, taken):
        return None
    call = sale.call
    call.note("recovering", buyer_id=taken.leg.buyer_id, talk_s=taken.talk_s)
    decision = await sale.desk.route(call, campaign_id, frozenset(sale.tried), sale.connections)
    sale.snapshot = _decided_on(decision, sale.desk)
    return await _sell(sale, decision, campaign_id)


def _deadline(call: Call, decision: Decision) -> int:
    return call.ports.now_ms() + decision.max_route_s * 1000


def _decided_on(decision: Decision, desk: Desk) -> Snapshot:
    """The configuration that the Decision was made with: by now there may be a newer one with other buyers."""
    return decision.inputs.snapshot if isinstance(decision.inputs, Inputs) else desk.snapshot()


@dataclass(frozen=True, slots=True)
class _Taken:
    """A buyer took the call and has hung up again."""

    leg: Leg
    talk_s: float


def _recover(sale: Sale, taken: _Taken) -> bool:
    """Whether a buyer who hung up so early does not count, and the caller is offered to the next."""
    early = taken.talk_s < sale.campaign.recover_below_s
    return early and sale.connections <= sale.campaign.recover_max and sale.left_s > _LEAST_RING_S


async def _offer_all(sale: Sale, decision: Decision) -> _Taken | None:
    for step in decision.each_step():
        if sale.attempts >= decision.max_attempts or sale.left_s < _LEAST_RING_S:
            sale.call.note("route_budget_used", attempts=sale.attempts, left_s=sale.left_s)
            break
        group_attempt = sale.next_number() if step.together else None
        planned = [a for buyer_id in step.buyer_ids if (a := _plan(sale, decision, step, buyer_id)) is not None]
        if planned:
            taken = await _offer(sale, step, planned, group_attempt)
            if taken is not None:
                return taken
    return None


def _plan(sale: Sale, decision: Decision, step: Step, buyer_id: int) -> Attempt | None:
    """The attempt to reach one buyer; None where no trunk serves his endpoint."""
    call, buyer = sale.call, sale.snapshot.buyers[buyer_id]
    sale.tried.add(buyer_id)
    way = dialable(buyer.endpoint_value, sale.snapshot.trunks, buyer.trunk_id)
    if way is None:
        sale.results.append("no_trunk")
        call.note("no_trunk", buyer_id=buyer_id, endpoint=buyer.endpoint_value)
        return None
    target = Target(
        way.endpoint,
        caller_id=call.shown_number,
        caller_name=call.facts.caller_name,
        ring_timeout_s=buyer.ring_timeout_s,
        buyer_id=buyer_id,
        group_id=step.group_id,
        trunk_id=way.trunk_id,
    )
    whisper = None if buyer.whisper is None else fill(buyer.whisper, call.tags)
    terms = Terms(whisper, buyer.accept_digit, buyer.accept_timeout_s)
    return Attempt(sale.next_number(), buyer, target, terms, sale.desk.rules(call, decision, buyer))


async def _offer(sale: Sale, step: Step, planned: list[Attempt], group_attempt: int | None) -> _Taken | None:
    """Reserve and dial the attempts together; connect the winner. None if nobody took the call."""
    call = sale.call
    legs = new_legs(call, [a.target for a in planned])
    connected: Attempt | None = None
    try:
        ready = await _reserve(sale, step, planned, legs, group_attempt)
        attempts, legs_ready = [planned[i] for i in ready], [legs[i] for i in ready]
        if not attempts:
            return None
        sale.attempts += len(attempts)
        async with AsyncExitStack() as meters:
            for attempt, leg in zip(attempts, legs_ready, strict=True):
                await meters.enter_async_context(Meter(call, leg, attempt.buyer, attempt.number, attempt.rules))
            winner = await _ring(sale, attempts, legs_ready)
            sale.results += [str(leg.result) for leg in legs_ready if leg is not winner]
            if winner is None:
                return None
            connected = attempts[legs_ready.index(winner)]
            sale.connections += 1
            call.sold_to(connected.buyer.id, winner.group_id)
            held = {"attempt": connected.number, "group_attempt": group_attempt}
            await join(call, winner, record=sale.desk.records(call), **held)
            await sale.desk.answered(call, connected.number)
            talk_s = await until_parted(call, winner)
            call.ended_by = "buyer"
            return _Taken(winner, talk_s)
    finally:
        for leg in legs:
            if not leg.created:
                call.legs.pop(leg.id)
        await asyncio.gather(*(_settle(sale, a, leg, a is connected) for a, leg in zip(planned, legs, strict=True)))


async def _reserve(
    sale: Sale, step: Step, planned: list[Attempt], legs: list[Leg], group_attempt: int | None
) -> list[int]:
    """Take the caps of every attempt and write down what is about to happen, in one commit: nobody's phone rings
    before. Returns the indexes of the attempts that got a place; those that lost the race to another call are left out.
    """
    call = sale.call
    attempts = {
        leg.id: [a.number, a.buyer.id, step.group_id, a.target.trunk_id] for leg, a in zip(legs, planned, strict=True)
    }
    call.note_stage("ringing", attempts=attempts, group_attempt=group_attempt)
    start = asyncio.ensure_future
    reserving = [start(sale.desk.reserve(call, a.number, step, a.buyer, group_attempt)) for a in planned]
    written = start(call.ports.journal.durable())
    await asyncio.wait([*reserving, written])  # all of them, whatever one says: what is taken must be known
    failed = [error for each in (*reserving, written) if (error := each.exception()) is not None]
    if failed:
        raise failed[0]
    ready = []
    for index, refused in enumerate(answer.result() for answer in reserving):
        if refused is None:
            ready.append(index)
        else:
            sale.results.append("reserve_lost")
            call.note("reserve_lost", buyer_id=planned[index].buyer.id, **refused)
    return ready


async def _settle(sale: Sale, attempt: Attempt, leg: Leg, connected: bool) -> None:
    lost = leg.result is LegResult.CANCELLED and not sale.call.caller.ended
    if not connected and (lost or leg.dialled_at is None):
        await sale.desk.release(sale.call, attempt.number)
    else:
        await sale.desk.settle(sale.call, attempt.number, connected=connected)


async def _ring(sale: Sale, attempts: list[Attempt], legs: list[Leg]) -> Leg | None:
    """Dial; the caller hears ringing, music or the far end meanwhile."""
    call, tone = sale.call, sale.campaign.ring_tone
    early = tone == "early_media" and len(attempts) == 1
    terms = {leg.id: a.terms for leg, a in zip(legs, attempts, strict=True)}
    greeted = any(a.terms.whisper or a.terms.accept_digit for a in attempts)
    if early:
        await let_hear(call, "early_media")
        return await _dial(sale, attempts, legs, terms if greeted else None, early_media=True)
    tone = "ringback" if tone == "early_media" else tone
    # Who listens to a whisper is answered, and the caller still has to hear something.
    hearing = asyncio.ensure_future(let_hear(call, tone) if greeted else let_hear_soon(call, tone, legs))
    try:
        return await _dial(sale, attempts, legs, terms if greeted else None, early_media=False)
    finally:
        if not hearing.done():
            await asyncio.wait([hearing])
        if (error := hearing.exception()) is not None and not isinstance(error, CallEnded):
            log.warning("the caller hears nothing: %s", error, extra={"call": call.id})


async def _dial(
    sale: Sale, attempts: list[Attempt], legs: list[Leg], terms: dict[str, Terms] | None, *, early_media: bool
) -> Leg | None:
    call = sale.call
    return await dial(
        call,
        legs,
        [a.target for a in attempts],
        budget_s=sale.left_s,
        early_media=early_media,
        confirm=None if terms is None else (lambda leg: accepted(call, leg, terms[leg.id])),
    )
