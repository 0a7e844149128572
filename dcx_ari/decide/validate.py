"""Faults of a configuration row that would make calls go wrong, found before it is saved.

What routing would otherwise meet as a named reason (`misconfigured`, `loop`, `no_trunk`, `weight_zero`) is
refused here with the field and the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from dcx_ari.decide.endpoints import dialable
from dcx_ari.decide.filters import compile_filter
from dcx_ari.decide.hours import parse_spans
from dcx_ari.decide.periods import zone_of
from dcx_ari.decide.rowjson import parse
from dcx_ari.decide.rows import Attachment, Buyer, Campaign, Filter, Group, Member, Schedule, Source
from dcx_ari.decide.schedules import compile_schedule
from dcx_ari.decide.snapshot import TABLES, Snapshot

_LIMITS = ("_cap", "_limit", "_cents", "_between", "_max")


class FieldProblem(NamedTuple):
    """`rule` is a short name for machines, `message` says it in words."""

    field: str
    rule: str
    message: str


def problems_of(table: str, data: Mapping[str, Any], snapshot: Snapshot) -> list[FieldProblem]:
    """All faults of a row about to be saved into `table`, against the rest of the configuration."""
    try:
        row = parse(TABLES[table], data)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        return [FieldProblem(name, "shape", message or name)]
    check = _CHECKS.get(table)
    return [*_common(row), *(check(row, snapshot) if check is not None else ())]


def _common(row: Any) -> Iterator[FieldProblem]:
    for f in fields(row):
        value = getattr(row, f.name)
        if isinstance(value, int) and value < 0 and f.name.endswith(_LIMITS):
            yield FieldProblem(f.name, "negative", "must be 0 (closed) or more; leave it empty for unlimited")
    if getattr(row, "timezone", None) is not None:
        yield from _try("timezone", "time_zone", lambda: zone_of(row.timezone))
    for condition in getattr(row, "filters", ()):
        yield from _filter("filters", condition)


def _try(field: str, rule: str, attempt: Callable[[], Any]) -> Iterator[FieldProblem]:
    try:
        attempt()
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        yield FieldProblem(field, rule, str(error))


def _filter(field: str, condition: Filter) -> Iterator[FieldProblem]:
    rule = "pattern" if condition.op in ("=~", "!~") else "operator"
    yield from _try(field, rule, lambda: compile_filter(condition))


def _schedule(row: Schedule, _snapshot: Snapshot) -> Iterator[FieldProblem]:
    try:
        compile_schedule(row)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        name, _, message = str(error).partition(": ")
        known = name in ("weekly", "holidays", "exceptions", "recurrence")
        yield FieldProblem(name if known else "timezone", "hours" if known else "time_zone", message or name)


def _buyer(row: Buyer, snapshot: Snapshot) -> Iterator[FieldProblem]:
    if row.ring_timeout_s < 5:
        yield FieldProblem("ring_timeout_s", "minimum", "must be 5 or more")
    if not 0 <= row.weight <= 100:
        yield FieldProblem("weight", "range", "must be between 0 and 100")
    if row.schedule_id is not None and row.schedule_id not in snapshot.schedules:
        yield FieldProblem("schedule_id", "unknown", f"there is no schedule {row.schedule_id}")
    if row.endpoint_type in ("PHONE_NUMBER", "SIP"):
        yield from _endpoint(row, snapshot)
    elif row.endpoint_type == "GROUP":
        yield from _group_endpoint(row, snapshot)
    for rule in row.conversion_rules:
        for condition in rule.filters:
            yield from _filter("conversion_rules", condition)
        yield from _try("conversion_rules", "hours", lambda hours=rule.hours: parse_spans(hours, "hours"))  # type: ignore[misc]


def _endpoint(row: Buyer, snapshot: Snapshot) -> Iterator[FieldProblem]:
    if row.endpoint_value in snapshot.numbers_by_phone:
        yield FieldProblem("endpoint_value", "loop", "is one of our own numbers: the call would come back")
    elif dialable(row.endpoint_value, snapshot.trunks, row.trunk_id) is None:
        yield FieldProblem("endpoint_value", "no_trunk", "no active trunk serves this endpoint")


def _group_endpoint(row: Buyer, snapshot: Snapshot) -> Iterator[FieldProblem]:
    value = row.endpoint_value
    group = next((g for g in snapshot.groups.values() if value in (str(g.id), g.name)), None)
    if group is None:
        yield FieldProblem("endpoint_value", "unknown", f"there is no group {value}")
    elif any(m.buyer_id == row.id for m in snapshot.members_by_group.get(group.id, ())):
        yield FieldProblem("endpoint_value", "cycle", "is a group that contains this buyer")


def _member(row: Member, snapshot: Snapshot) -> Iterator[FieldProblem]:
    buyer = snapshot.buyers.get(row.buyer_id)
    if buyer is None:
        yield FieldProblem("buyer_id", "unknown", f"there is no buyer {row.buyer_id}")
    elif buyer.endpoint_type == "GROUP":
        group = snapshot.groups.get(row.group_id)
        itself = group is not None and buyer.endpoint_value in (str(group.id), group.name)
        rule, message = ("cycle", "would contain itself") if itself else ("nested", "groups do not nest")
        yield FieldProblem("buyer_id", rule, f"buyer {buyer.id} is a group: {message}")


def _attachment(row: Attachment, snapshot: Snapshot) -> Iterator[FieldProblem]:
    if (row.buyer_id is None) is (row.group_id is None):
        yield FieldProblem("buyer_id", "either", "give either buyer_id or group_id")
    campaign = snapshot.campaigns.get(row.campaign_id)
    if campaign is None:
        yield FieldProblem("campaign_id", "unknown", f"there is no campaign {row.campaign_id}")
    elif campaign.strategy == "tier":
        yield from _all_zero(row, snapshot)


def _all_zero(row: Attachment, snapshot: Snapshot) -> Iterator[FieldProblem]:
    """Weight 0 means never unless alone: a tier in which all have 0 would take no calls."""
    others = [a for a in snapshot.attachments_by_campaign.get(row.campaign_id, ()) if a.id != row.id]
    mine = _place(row, snapshot)
    same = [_place(a, snapshot) for a in others if a.status == "ACTIVE"]
    weights = [weight for tier, weight in same if tier == mine[0]]
    if mine[1] == 0 and weights and not any(weights):
        yield FieldProblem("weight", "all_zero", f"all weights of tier {mine[0]} would be 0")


def _place(a: Attachment, snapshot: Snapshot) -> tuple[int, int]:
    own: Buyer | Group | None = snapshot.buyers.get(a.buyer_id or 0) or snapshot.groups.get(a.group_id or 0)
    tier, weight = (own.tier, own.weight) if own is not None else (0, 100)
    return (tier if a.tier is None else a.tier), (weight if a.weight is None else a.weight)


def _source(row: Source, _snapshot: Snapshot) -> Iterator[FieldProblem]:
    if row.payout is None:
        return
    for hours in row.payout.hours:
        yield from _try("payout", "hours", lambda h=hours: parse_spans([(h.start, h.end)], "payout"))  # type: ignore[misc]


def _campaign(row: Campaign, snapshot: Snapshot) -> Iterator[FieldProblem]:
    if row.schedule_id is not None and row.schedule_id not in snapshot.schedules:
        yield FieldProblem("schedule_id", "unknown", f"there is no schedule {row.schedule_id}")


_CHECKS: Mapping[str, Callable[[Any, Snapshot], Iterator[FieldProblem]]] = {
    "schedules": _schedule,
    "buyers": _buyer,
    "buyer_group_members": _member,
    "campaign_buyers": _attachment,
    "traffic_sources": _source,
    "campaigns": _campaign,
}
