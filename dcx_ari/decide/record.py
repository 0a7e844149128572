"""What a Decision was made from, small enough to be kept with the call, and complete enough to decide again.

Kept are the call's facts, the figures that could be looked at, and the rows that could matter: number,
campaign, source, attached buyers and groups, their schedules, the rules of the caller's state, the caller's
list entries. Defaults and zero figures are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
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

    def kept(self) -> Inputs:
        """The same with only the figures that the decision could look at, so that it can be written down later,
        when the counters (which are alive) have changed.
        """
        counters = self.usage.counters
        small = {key: n for key in self._looked_at() if (n := counters.get(key))}
        return replace(self, usage=replace(self.usage, counters=small, turns=dict(self.usage.turns)))

    def _looked_at(self) -> tuple[CounterKey, ...]:
        """See `looked_at`; the same for all calls of a campaign and source that start in one quarter of an hour,
        because no period in any zone begins within one.
        """
        _, plan, source = self._rows()
        which = (
            "looked at",
            plan.campaign.row.id if plan is not None else None,
            source.row.id if source is not None else None,
        )
        quarter = self.facts.started_at // 900_000
        known: tuple[int, tuple[CounterKey, ...]] | None = self.snapshot.memo.get(which)
        if known is None or known[0] != quarter:
            known = (quarter, tuple(looked_at(self.facts.started_at, plan, source)))
            self.snapshot.memo[which] = known
        return known[1]

    def to_json(self, *, campaign: bool = True) -> str:
        """A JSON object: the call's own part, and the campaign's tables or (without `campaign`) their digest.

        The campaign's part is the same for all calls until the configuration changes: a store may keep it
        once, under the digest of `campaign_text`, and give it to `replay.rerun`.
        """
        s = self.snapshot
        number, plan, source = self._rows()
        head = {
            "explain_all": self.explain_all,
            "company_zone": s.company_zone,
            "facts": facts_to_json(self.facts),
            "usage": _usage(self.usage, self.entries, plan),
            "tables": _call_tables(s, number, plan, source),
        }
        if plan is None:
            return _text(head)
        digest, text = self.campaign_text() or ("", "")
        if not campaign:
            return _text({**head, "campaign_digest": digest})
        return f'{_text(head)[:-1]},"campaign_digest":"{digest}","campaign":{text}}}'

    def campaign_text(self) -> tuple[str, str] | None:
        """(SHA-256 in hex, JSON) of the campaign's tables; None for a call without a campaign."""
        _, plan, source = self._rows()
        if plan is None:
            return None
        wide = _asks_for_peers(plan, source)
        key = ("campaign", plan.campaign.row.id, wide)
        found: tuple[str, str] | None = self.snapshot.memo.get(key)
        if found is None:
            text = _campaign_tables(self.snapshot, plan, wide=wide)
            found = self.snapshot.memo[key] = (hashlib.sha256(text.encode()).hexdigest(), text)
        return found

    def _rows(self) -> tuple[Number | None, CampaignPlan | None, CompiledSource | None]:
        number = self.snapshot.numbers_by_phone.get(self.facts.number)
        campaign_id = self.facts.campaign_id
        if campaign_id is None and number is not None:
            campaign_id = number.campaign_id
        source_id = (number.traffic_source_id if number is not None else None) or 0
        plan = self.snapshot.plans.get(campaign_id or 0)
        return number, plan, self.snapshot.compiled.sources.get(source_id)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def buyers_of(plan: CampaignPlan | None) -> Mapping[int, CompiledBuyer]:
    """Everybody who could be dialled for the campaign."""
    return plan.buyers if plan is not None else {}


def _call_tables(
    s: Snapshot, number: Number | None, plan: CampaignPlan | None, source: CompiledSource | None
) -> dict[str, Any]:
    loops = plan.loops if plan is not None else ()
    numbers = {n.id: n for n in (number, *map(s.numbers_by_phone.get, loops)) if n is not None}
    found = {"numbers": list(numbers.values()), "traffic_sources": [source.row] if source else []}
    return {name: pack(rows) for name, rows in found.items()}


def _campaign_tables(s: Snapshot, plan: CampaignPlan, *, wide: bool) -> str:
    buyers = buyers_of(plan)
    groups = {c.group.row.id: c.group.row for c in plan.candidates if c.group is not None}
    schedule_ids = {b.row.schedule_id or 0 for b in buyers.values()} | {plan.campaign.row.schedule_id or 0}
    rows: dict[str, Iterable[Any]] = {
        "campaigns": [plan.campaign.row],
        "buyer_groups": groups.values(),
        "buyer_group_members": _members(s, groups, buyers, wide=wide),
        "campaign_buyers": [c.attachment for c in plan.candidates],
        "schedules": [s.schedules[i] for i in sorted(i for i in schedule_ids if i in s.schedules)],
        "trunks": [replace(t, rates=()) for t in s.trunks.values()],
        "state_rules": [r for r in s.state_rules.values() if r.buyer_id is None or r.buyer_id in buyers],
    }
    packed = ",".join(b.packed for b in buyers.values())
    return f'{_text({name: pack(list(found)) for name, found in rows.items()})[:-1]},"buyers":[{packed}]}}'


def _asks_for_peers(plan: CampaignPlan, source: CompiledSource | None) -> bool:
    rules = (plan.campaign.row.duplicate, source.row.duplicate if source is not None else None)
    return plan.asks_for_peers or any(rule is not None and rule.scope == "buyer_group" for rule in rules)


def looked_at(started_at: int, plan: CampaignPlan | None, source: CompiledSource | None) -> Iterator[CounterKey]:
    """The counters that a decision on these can ask for."""
    zones: dict[ZoneInfo, Mapping[Period, str]] = {}

    def keyed(lines: Iterable[CapLine], zone: ZoneInfo) -> Iterator[CounterKey]:
        keys = zones.get(zone) or zones.setdefault(zone, period_keys(started_at, zone))
        for line in lines:
            yield CounterKey(line.scope, line.scope_id, line.metric, line.period, keys[cast("Period", line.period)])

    if source is not None:
        yield from keyed(source.caps, source.zone)
    if plan is None:
        return
    yield from keyed(plan.campaign.caps, plan.campaign.zone)
    for candidate in plan.candidates:
        if candidate.group is not None:
            yield from keyed(candidate.group.caps, candidate.group.zone)
    for buyer in plan.buyers.values():
        yield from keyed(buyer.caps, buyer.zone)
        if buyer.concurrency is not None:
            yield from keyed((buyer.concurrency,), buyer.zone)
        if buyer.row.min_seconds_between is not None:
            yield last_attempt_key(buyer.id)


def _members(s: Snapshot, groups: Mapping[int, Any], buyers: Mapping[int, Any], *, wide: bool) -> list[Any]:
    """Memberships of the groups that take part; with `wide`, of all groups that share a buyer with them."""
    return [
        m
        for group_id, members in s.members_by_group.items()
        if group_id in groups or (wide and any(m.buyer_id in buyers for m in members))
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


def _usage(usage: Usage, entries: tuple[Suppression, ...], plan: CampaignPlan | None) -> dict[str, Any]:
    buyers = buyers_of(plan)
    return {
        "counters": {
            f"{scope}|{row_id}|{metric}|{period}|{key}": n
            for (scope, row_id, metric, period, key), n in usage.counters.items()
            if n and (scope != "buyer" or row_id in buyers)
        },
        "history": [list(call) for call in usage.history],
        "earnings": {str(b): list(e) for b, e in usage.earnings.items() if b in buyers},
        "turns": [[*key, n] for key, n in usage.turns.items() if n],
        "suppressions": pack(entries),
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
