"""Which buyers get a call, in which order, and why not the others: one pure function (rule D0.2).

Live calls, `dcx explain`, dry runs and replays call the same `route`. It reads no clock and draws no chance:
`now` and `seed` are arguments, and equal arguments give equal Decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from dcx_ari.decide.candidates import Sieve
from dcx_ari.decide.checks import Context
from dcx_ari.decide.compiled import CompiledSource, Failure
from dcx_ari.decide.decision import Decision, Failed
from dcx_ari.decide.duplicates import previous_call
from dcx_ari.decide.facts import CallFacts, Usage
from dcx_ari.decide.geography import Place, locate, npa_of
from dcx_ari.decide.periods import to_ms
from dcx_ari.decide.plan import CampaignPlan
from dcx_ari.decide.ranking import rank
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.refusals import (
    blocked,
    campaign_refusal,
    duplicate_refusal,
    live_entries,
    source_refusal,
    suppressed_buyers,
)
from dcx_ari.decide.rows import Number, StateRule
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.decide.weights import start_of

_STRICTEST = {"block": 0, "require_consent": 1, "allow": 2}


def route(
    facts: CallFacts,
    snapshot: Snapshot,
    usage: Usage,
    now: int | datetime,
    seed: int,
    *,
    explain_all: bool = False,
) -> Decision:
    """Decide. `now` is epoch ms or an aware datetime; with `explain_all` every failed check is listed."""
    at = to_ms(now) if isinstance(now, datetime) else now
    place = locate(facts.caller, facts.zip_code, facts.state)
    number = snapshot.numbers_by_phone.get(facts.number)
    x = Context(facts, usage, at, tags_of(facts, place))
    entries = live_entries((*snapshot.suppressions_by_phone.get(facts.caller or "", ()), *usage.suppressions), at)
    x.suppressed = suppressed_buyers(entries)
    source_id = number.traffic_source_id if number is not None else None
    source = snapshot.compiled.sources.get(source_id) if source_id is not None else None
    plan = _plan(snapshot, facts, number)
    refusal = _refusal(number, plan, source, blocked(entries), x)
    decision = partial(
        Decision,
        call_id=facts.call_id,
        number=facts.number,
        campaign_id=plan.campaign.row.id if plan is not None else None,
        source_id=source_id,
        state=place.state,
        geo_source=place.source,
        config_version=snapshot.version,
        now=at,
        seed=seed,
        inputs=Inputs(snapshot, facts, usage, entries, explain_all=explain_all),
    )
    if plan is None or refusal is not None:
        return decision(refusal=Failed(*refusal) if refusal is not None else None)
    _look_up_state(x, snapshot, plan, place)
    sieve = Sieve(x, start_of(seed), usage.turns, explain_all=explain_all)
    return _choose(x, plan, sieve, usage, decision)


def tags_of(facts: CallFacts, place: Place) -> dict[str, Any]:
    """The call's tags: what the flow collected, over what is known of any call."""
    known: dict[str, Any] = {
        "caller": facts.caller,
        "number": facts.number,
        "state": place.state,
        "geo_source": place.source,
        "npa": npa_of(facts.caller),
        "zip": facts.zip_code,
    }
    known.update(facts.tags)
    return known


def _plan(snapshot: Snapshot, facts: CallFacts, number: Number | None) -> CampaignPlan | None:
    campaign_id = facts.campaign_id
    if campaign_id is None and number is not None:
        campaign_id = number.campaign_id
    return snapshot.plans.get(campaign_id) if campaign_id is not None else None


def _refusal(
    number: Number | None,
    plan: CampaignPlan | None,
    source: CompiledSource | None,
    barred: Failure | None,
    x: Context,
) -> Failure | None:
    """The first reason against the call itself; also fills in the rules of source and campaign."""
    if number is None or number.status != "ACTIVE":
        return Failure("no_number", {"number": x.facts.number})
    if barred is not None:
        return barred
    if source is not None and (refused := source_refusal(source, x)):
        return refused
    if plan is None:
        return Failure("no_campaign", {"number": x.facts.number, "campaign_id": number.campaign_id})
    x.campaign_id = plan.campaign.row.id
    rules = (
        ("source", source.row.duplicate if source is not None else None),
        ("campaign", plan.campaign.row.duplicate),
    )
    x.call_duplicates = tuple((of, rule) for of, rule in rules if rule is not None)
    return campaign_refusal(plan.campaign, x) or duplicate_refusal(x)


def _look_up_state(x: Context, snapshot: Snapshot, plan: CampaignPlan, place: Place) -> None:
    x.state = place.state
    x.unknown_blocked = plan.campaign.row.unknown_state == "block"
    rules = snapshot.state_rules_by_code.get(place.state, ()) if place.state is not None else ()
    by_buyer: dict[int | None, StateRule] = {}
    for rule in sorted(rules, key=lambda r: (_STRICTEST[r.action], r.id)):
        by_buyer.setdefault(rule.buyer_id, rule)
    x.state_rule = by_buyer.pop(None, None)
    x.state_rules = {buyer_id: rule for buyer_id, rule in by_buyer.items() if buyer_id is not None}
    facts, by_state = x.facts, bool(x.state_rule or x.state_rules or x.unknown_blocked)
    x.quiet = not (by_state or x.suppressed or x.history or facts.tried or facts.skills)


def _choose(x: Context, plan: CampaignPlan, sieve: Sieve, usage: Usage, decision: Callable[..., Decision]) -> Decision:
    row = plan.campaign.row
    no_payout = _call_marks(x, sieve)
    sieve.take_all(plan.candidates)
    order = rank(
        sieve.passed,
        strategy=row.strategy,
        smooth=row.weighting == "smooth_wrr",
        start=sieve.start,
        campaign_id=row.id,
        earnings=usage.earnings,
        turns=usage.turns,
    )
    return decision(
        strategy=row.strategy,
        weighting=row.weighting,
        ranked=order.ranked,
        rejected=(*sieve.rejected, *order.rejected),
        turns=order.turns,
        earnings=order.earnings,
        no_payout=no_payout,
        max_attempts=row.max_attempts,
        max_route_s=row.max_route_s,
    )


def _call_marks(x: Context, sieve: Sieve) -> bool:
    """What the duplicate rules of source and campaign mean for a call that is routed; whether no payout.

    Their scope `buyer` means any buyer here, except for a campaign's unpaid rule, which `Sieve` asks of each.
    """
    no_payout = False
    if not x.history:
        return no_payout
    for of, rule in x.call_duplicates:
        narrow = rule.scope in ("buyer", "buyer_group")
        wide = replace(rule, scope="company") if narrow else rule
        before = previous_call(wide, x.history, x.now, campaign_id=x.campaign_id)
        if before is None:
            continue
        if rule.action == "prefer_previous":
            sieve.preferred = before.buyer_id
        elif rule.action == "route_but_unpaid" and of == "campaign" and narrow:
            sieve.unpaid_rule = rule
        elif rule.action == "route_but_unpaid":
            no_payout = True
            sieve.unpaid_all = sieve.unpaid_all or of == "campaign"
    return no_payout
