"""The money of a call that is over, beside the buyer's: what the source is paid, what the legs cost."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.decide.cost import cost_cents, rate_for
from dcx_ari.decide.payout import paid_before, payout_cents, payout_due_at
from dcx_ari.decide.periods import zone_of
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.desk import Account
from dcx_ari.store.ledger import Money


def payout_of(call: Call, account: Account, snapshot: Snapshot, revenue_cents: int, now: int) -> list[Money]:
    """What the traffic source is paid; at most one entry. Booking it twice changes nothing."""
    decision = account.decision
    if decision is None or decision.no_payout or account.connected is None:
        return []
    source = snapshot.sources.get(decision.source_id or 0)
    leg = _connected_leg(call)
    if source is None or source.payout is None or leg is None:
        return []
    stages = leg.stages(call.caller.ended_at)
    due = payout_due_at(source.payout, stages)
    if due is None or due > (stages.ended or now):
        return []
    earlier = paid_before(source.payout, account.history, now, campaign_id=decision.campaign_id, buyer_id=leg.buyer_id)
    if earlier is not None:
        call.note("payout_duplicate", earlier=earlier.call_id)
        return []
    cents = payout_cents(
        source.payout,
        talk_ms=(stages.ended or now) - (stages.bridge or now),
        revenue_cents=revenue_cents,
        started_at=account.started_at,
        zone=zone_of(source.timezone or snapshot.company_zone),
    )
    if not cents:
        return []
    return [
        Money(
            call.id, "payout", "payout", cents, reason=source.payout.model, buyer_id=leg.buyer_id, source_id=source.id
        )
    ]


def cost_of(call: Call, snapshot: Snapshot) -> list[Money]:
    """Telephony cost of each answered leg, by the rates of its trunk."""
    entries = []
    for leg in call.legs.values():
        trunk = snapshot.trunks.get(leg.trunk_id or 0)
        if trunk is None or leg.answered_at is None:
            continue
        end = leg.ended_at or call.caller.ended_at or leg.answered_at
        cents = cost_cents(rate_for(trunk.rates, _dialled(leg)), end - leg.answered_at)
        if cents:
            entries.append(Money(call.id, "cost", leg.id, cents, reason=trunk.name, buyer_id=leg.buyer_id))
    return entries


def _connected_leg(call: Call) -> Leg | None:
    """The last leg that talked: with a recovered call, the one that kept the caller."""
    talked = [leg for leg in call.legs.values() if leg.bridged_at is not None]
    return talked[-1] if talked else None


def _dialled(leg: Leg) -> str:
    """The number in `PJSIP/+15550100@trunk-1`."""
    return leg.endpoint.partition("/")[2].partition("@")[0]
