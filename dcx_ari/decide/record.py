"""What a Decision was made from, small enough to be kept with the call, and complete enough to decide again.

Kept are the call's facts, the figures that could be looked at, and the rows that could matter: number,
campaign, source, attached buyers and groups, their schedules, the rules of the caller's state, the caller's
list entries. Defaults and zero figures are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.caps import CounterKey
from dcx_ari.decide.compiled import CapLine, CompiledBuyer, CompiledSource
from dcx_ari.decide.facts import CallFacts, Earnings, PreviousCall, Usage, last_attempt_key
from dcx_ari.decide.periods import Period, period_keys
from dcx_ari.decide.plan import CampaignPlan
from dcx_ari.decide.rowjson import pack, parse
from dcx_ari.decide.rows import Number, Suppression

if TYPE_CHECKING:
    from dcx_ari.decide.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Inputs:
    """The arguments of a decision as they were; `entries` are the caller's list entries, none expired."""

    snapshot: Snapshot
    facts: CallFacts
    usage: Usage
    entries: tuple[Suppression, ...]
    explain_all: bool = False

    def to_json(self) -> str:
        """A JSON object: explain_all, company_zone, facts, usage, tables."""
        number = self.snapshot.numbers_by_phone.get(self.facts.number)
        campaign_id = self.facts.campaign_id
        if campaign_id is None and number is not None:
            campaign_id = number.campaign_id
        plan = self.snapshot.plans.get(campaign_id or 0)
        source_id = (number.traffic_source_id if number is not None else None) or 0
        source = self.snapshot.compiled.sources.get(source_id)
        head = _text(
            {
                "explain_all": self.explain_all,
                "company_zone": self.snapshot.company_zone,
                "facts": facts_to_json(self.facts),
                "usage": _usage(self, plan, source),
            }
        )
        return f'{head[:-1]},"tables":{_tables(self.snapshot, number, plan, source)}}}'


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _buyers(plan: CampaignPlan | None) -> dict[int, CompiledBuyer]:
    """Everybody who could be dialled for the campaign."""
    found: dict[int, CompiledBuyer] = {}
    for candidate in plan.candidates if plan is not None else ():
        if candidate.buyer is not None:
            found[candidate.buyer.id] = candidate.buyer
        if candidate.group is not None:
            found.update((b.id, b) for _, b in candidate.group.members)
    return found


def _tables(
    s: Snapshot, number: Number | None, plan: CampaignPlan | None, source: CompiledSource | None
) -> str:
    buyers = _buyers(plan)
    candidates = plan.candidates if plan is not None else ()
    groups = {c.group.row.id: c.group.row for c in candidates if c.group is not None}
    loops = [
        s.numbers_by_phone[b.row.endpoint_value]
        for b in buyers.values()
        if b.endpoint_fault is not None and b.row.endpoint_value in s.numbers_by_phone
    ]
    numbers = {n.id: n for n in (number, *loops) if n is not None}
    schedule_ids = {b.row.schedule_id or 0 for b in buyers.values()}
    if plan is not None:
        schedule_ids.add(plan.campaign.row.schedule_id or 0)
    rows: dict[str, Iterable[Any]] = {
        "numbers": numbers.values(),
        "campaigns": [plan.campaign.row] if plan is not None else [],
        "traffic_sources": [source.row] if source is not None else [],
        "buyer_groups": groups.values(),
        "buyer_group_members": _members(s, plan, source, groups, buyers),
        "campaign_buyers": [c.attachment for c in candidates],
        "schedules": [s.schedules[i] for i in sorted(i for i in schedule_ids if i in s.schedules)],
        "trunks": [replace(t, rates=()) for t in s.trunks.values()],
        "state_rules": [r for r in s.state_rules.values() if r.buyer_id is None or r.buyer_id in buyers],
    }
    packed = ",".join(b.packed for b in buyers.values())
    return f'{_text({name: pack(list(found)) for name, found in rows.items()})[:-1]},"buyers":[{packed}]}}'


def _members(
    s: Snapshot,
    plan: CampaignPlan | None,
    source: CompiledSource | None,
    groups: Mapping[int, Any],
    buyers: Mapping[int, Any],
) -> list[Any]:
    """Memberships of the groups that take part; where a rule asks for peers, of all that share a buyer."""
    rules = [b.row.duplicate for b in buyers.values()]
    rules += [source.row.duplicate] if source is not None else []
    rules += [plan.campaign.row.duplicate] if plan is not None else []
    if not any(rule is not None and rule.scope == "buyer_group" for rule in rules):
        return [m for group_id in groups for m in s.members_by_group.get(group_id, ())]
    return [
        m
        for group_id, members in s.members_by_group.items()
        if group_id in groups or any(m.buyer_id in buyers for m in members)
        for m in members
    ]


def facts_to_json(facts: CallFacts) -> dict[str, Any]:
    return {name: value for name, value in pack(facts).items() if value is not None}


def facts_from_json(data: Mapping[str, Any]) -> CallFacts:
    values = dict(data)
    for name in ("tried", "skills", "consents"):
        if name in values:
            values[name] = frozenset(values[name])
    return CallFacts(**{"caller": None, **values})


def _usage(inputs: Inputs, plan: CampaignPlan | None, source: CompiledSource | None) -> dict[str, Any]:
    usage, buyers = inputs.usage, _buyers(plan)
    asked = asked_counters(inputs.facts.started_at, plan, source)
    return {
        "counters": {
            "|".join(map(str, key)): n for key in asked if (n := usage.counters.get(key)) is not None
        },
        "history": [list(call) for call in usage.history],
        "earnings": {str(b): list(e) for b, e in usage.earnings.items() if b in buyers},
        "turns": [[*key, n] for key, n in usage.turns.items() if n],
        "suppressions": pack(inputs.entries),
    }


def usage_from_json(data: Mapping[str, Any]) -> Usage:
    return Usage(
        counters={_counter_key(key): n for key, n in data["counters"].items()},
        history=tuple(PreviousCall(*call) for call in data["history"]),
        earnings={int(b): Earnings(*e) for b, e in data["earnings"].items()},
        turns={(a, b, c, d): n for a, b, c, d, n in data["turns"]},
        suppressions=tuple(parse(Suppression, e) for e in data["suppressions"]),
    )


def _counter_key(text: str) -> CounterKey:
    scope, scope_id, metric, period, period_key = text.split("|", 4)
    return CounterKey(scope, int(scope_id), metric, period, period_key)


def asked_counters(
    started_at: int, plan: CampaignPlan | None, source: CompiledSource | None
) -> Iterator[CounterKey]:
    """Every counter that a decision for this campaign and source can look at."""
    owners: list[tuple[ZoneInfo, tuple[CapLine, ...]]] = []
    if source is not None:
        owners.append((source.zone, source.caps))
    if plan is not None:
        owners.append((plan.campaign.zone, plan.campaign.caps))
        owners.extend((c.group.zone, c.group.caps) for c in plan.candidates if c.group is not None)
    keys: dict[ZoneInfo, dict[Period, str]] = {}
    for buyer in _buyers(plan).values():
        if buyer.row.min_seconds_between is not None:
            yield last_attempt_key(buyer.id)
        owners.append((buyer.zone, (*buyer.caps, buyer.concurrency) if buyer.concurrency else buyer.caps))
    for zone, lines in owners:
        if lines and zone not in keys:
            keys[zone] = period_keys(started_at, zone)
        for line in lines:
            cap = line.cap
            yield CounterKey(cap.scope, cap.scope_id, cap.metric, cap.period, keys[zone][cap.period])
