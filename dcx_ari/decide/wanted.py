"""What a store must look up before a decision, and nothing more."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.facts import CallFacts
from dcx_ari.decide.periods import period_keys
from dcx_ari.decide.snapshot import Snapshot


class Wanted(NamedTuple):
    """`scopes` are (scope, id) of the ledger, `period_keys` those of the start of the call in every zone in
    use (with `now`, `all` and `last`). The flags say which other figures can matter: the caller's
    history, earnings (strategy epc) and turns (smooth_wrr, round_robin), the last two of `campaign_id` and
    `group_ids`.
    """

    scopes: frozenset[tuple[str, int]]
    period_keys: frozenset[str]
    campaign_id: int | None
    buyer_ids: frozenset[int]
    group_ids: frozenset[int]
    history: bool
    earnings: bool
    turns: bool


def wanted(snapshot: Snapshot, facts: CallFacts) -> Wanted:
    """For the call's number, or the campaign that the facts name."""
    number = snapshot.numbers_by_phone.get(facts.number)
    campaign_id = facts.campaign_id
    if campaign_id is None and number is not None:
        campaign_id = number.campaign_id
    plan = snapshot.plans.get(campaign_id or 0)
    source = snapshot.compiled.sources.get((number.traffic_source_id if number is not None else None) or 0)
    scopes: set[tuple[str, int]] = set()
    zones: set[ZoneInfo] = set()
    rules = [source.row.duplicate] if source is not None else []
    if source is not None and source.caps:
        scopes.add(("source", source.row.id))
        zones.add(source.zone)
    if plan is None:
        return Wanted(frozenset(scopes), _keys(facts, zones), None, frozenset(), frozenset(), False, False, False)
    row = plan.campaign.row
    if plan.campaign.caps:
        scopes.add(("campaign", row.id))
        zones.add(plan.campaign.zone)
    groups = [c.group for c in plan.candidates if c.group is not None]
    for group in groups:
        if group.caps:
            scopes.add(("group", group.row.id))
            zones.add(group.zone)
    for buyer in plan.buyers.values():
        if buyer.caps or buyer.row.min_seconds_between is not None or buyer.concurrency is not None:
            scopes.add(("buyer", buyer.id))
            zones.add(buyer.zone)
    rules += [row.duplicate, *(b.row.duplicate for b in plan.buyers.values())]
    return Wanted(
        scopes=frozenset(scopes),
        period_keys=_keys(facts, zones),
        campaign_id=row.id,
        buyer_ids=frozenset(plan.buyers),
        group_ids=frozenset(g.row.id for g in groups),
        history=any(rule is not None for rule in rules),
        earnings=row.strategy == "epc",
        turns=row.weighting == "smooth_wrr" or any(g.row.routing_strategy == "round_robin" for g in groups),
    )


def _keys(facts: CallFacts, zones: set[ZoneInfo]) -> frozenset[str]:
    found = {"now", "all", "last"}
    for zone in zones:
        found.update(period_keys(facts.started_at, zone).values())
    return frozenset(found)
