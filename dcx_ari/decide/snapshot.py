"""The configuration as one immutable value, with the indexes and compiled parts a decision needs.

`build` makes it from rows (mappings or row objects); `amend` makes the next one from the previous one and the
rows that changed, and is what a process does when `config_version` moves. Parts whose row did not change
(same `version` and `updated_at`) are taken over, so that one change among 10,000 buyers costs milliseconds.
A row that cannot be read is left out and reported in `problems`; it never takes the others down with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from dcx_ari.decide.compiling import compile_all
from dcx_ari.decide.plan import CampaignPlan, Compiled
from dcx_ari.decide.rowjson import parse
from dcx_ari.decide.rows import (
    Attachment,
    Buyer,
    Campaign,
    Group,
    Member,
    Number,
    Schedule,
    Source,
    StateRule,
    Suppression,
    Trunk,
)

R = TypeVar("R")
Rows = Iterable[Mapping[str, Any] | Any]

TABLES: Mapping[str, type[Any]] = MappingProxyType(
    {
        "trunks": Trunk,
        "numbers": Number,
        "campaigns": Campaign,
        "traffic_sources": Source,
        "buyers": Buyer,
        "buyer_groups": Group,
        "buyer_group_members": Member,
        "campaign_buyers": Attachment,
        "schedules": Schedule,
        "state_rules": StateRule,
        "suppression_lists": Suppression,
    }
)
"""Table name -> row class, in the spelling of the database tables."""


_ATTRIBUTES = {
    "traffic_sources": "sources",
    "buyer_groups": "groups",
    "buyer_group_members": "members",
    "campaign_buyers": "attachments",
    "suppression_lists": "suppressions",
}
_INDEXES = {
    "attachments_by_campaign": ("campaign_buyers", "campaign_id"),
    "members_by_group": ("buyer_group_members", "group_id"),
    "suppressions_by_phone": ("suppression_lists", "phone_number"),
    "state_rules_by_code": ("state_rules", "state_code"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out: table, id (None where it has none) and what is wrong with it."""

    table: str
    id: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything configured, as of `version`. All mappings are by id unless the name says otherwise."""

    version: int
    company_zone: str
    trunks: Mapping[int, Trunk]
    numbers: Mapping[int, Number]
    campaigns: Mapping[int, Campaign]
    sources: Mapping[int, Source]
    buyers: Mapping[int, Buyer]
    groups: Mapping[int, Group]
    members: Mapping[int, Member]
    attachments: Mapping[int, Attachment]
    schedules: Mapping[int, Schedule]
    state_rules: Mapping[int, StateRule]
    suppressions: Mapping[int, Suppression]
    numbers_by_phone: Mapping[str, Number]
    attachments_by_campaign: Mapping[int, tuple[Attachment, ...]]
    members_by_group: Mapping[int, tuple[Member, ...]]
    suppressions_by_phone: Mapping[str, tuple[Suppression, ...]]
    state_rules_by_code: Mapping[str, tuple[StateRule, ...]]
    plans: Mapping[int, CampaignPlan]
    """Per campaign id: its candidates, compiled for `routing.route`."""
    compiled: Compiled
    problems: tuple[Problem, ...] = ()
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """Texts worked out once per snapshot (`record.campaign_text`)."""

    def number(self, phone_number: str) -> Number | None:
        """The number with this E.164 spelling, if it is ours."""
        return self.numbers_by_phone.get(phone_number)


def build(
    tables: Mapping[str, Rows],
    *,
    version: int,
    company_zone: str = "America/New_York",
    previous: Snapshot | None = None,
) -> Snapshot:
    """A snapshot from rows per table name (see `TABLES`; an absent table is empty)."""
    problems: list[Problem] = []
    read: dict[str, dict[int, Any]] = {
        name: _read(
            name,
            cls,
            tables.get(name, ()),
            _table(previous, name) if previous is not None else {},
            problems,
        )
        for name, cls in TABLES.items()
    }
    return _assemble(read, version, company_zone, previous, tuple(problems))


def amend(
    previous: Snapshot,
    changed: Mapping[str, Rows],
    deleted: Mapping[str, Iterable[int]] = MappingProxyType({}),
    *,
    version: int,
) -> Snapshot:
    """The next snapshot: `previous` with `changed` rows put in and rows `deleted` by id taken out."""
    problems: list[Problem] = []
    read: dict[str, dict[int, Any]] = {}
    for name, cls in TABLES.items():
        rows: dict[int, Any] = _table(previous, name)
        if name in changed or name in deleted:
            rows = dict(rows)
            for row_id in deleted.get(name, ()):
                rows.pop(row_id, None)
            rows.update(_read(name, cls, changed.get(name, ()), {}, problems))
        read[name] = rows
    return _assemble(read, version, previous.company_zone, previous, tuple(problems))


def _table(snapshot: Snapshot, name: str) -> dict[int, Any]:
    rows: dict[int, Any] = getattr(snapshot, _ATTRIBUTES.get(name, name))
    return rows


def _read(name: str, cls: type[R], rows: Rows, known: Mapping[int, Any], problems: list[Problem]) -> dict[int, R]:
    out: dict[int, Any] = {}
    for row in rows:
        if isinstance(row, Mapping) and (same := known.get(row.get("id", 0))) is not None:  # noqa: SIM102
            if row.get("version") == same.version and row.get("updated_at", 0) == same.updated_at:
                out[same.id] = same
                continue
        try:
            value: Any = parse(cls, row)
        except ValueError as error:
            row_id = row.get("id") if isinstance(row, Mapping) else None
            problems.append(Problem(name, row_id, str(error)))
        else:
            out[value.id] = value
    return out


def _assemble(
    read: dict[str, dict[int, Any]],
    version: int,
    company_zone: str,
    previous: Snapshot | None,
    problems: tuple[Problem, ...],
) -> Snapshot:
    compiled = compile_all(read, company_zone, previous.compiled if previous is not None else None)
    tables: dict[str, Any] = {_ATTRIBUTES.get(name, name): rows for name, rows in read.items()}
    return Snapshot(
        version=version,
        company_zone=company_zone,
        **tables,
        **{name: _index(previous, name, read[table], key) for name, (table, key) in _INDEXES.items()},
        numbers_by_phone={n.phone_number: n for n in read["numbers"].values()},
        plans=compiled.plans,
        compiled=compiled,
        problems=problems,
    )


def _index(previous: Snapshot | None, name: str, rows: dict[int, Any], key: str) -> Any:
    """Rows by one of their fields; taken over where the table is the same object."""
    if previous is not None and _table(previous, _INDEXES[name][0]) is rows:
        return getattr(previous, name)
    found: dict[Any, list[Any]] = {}
    for row in rows.values():
        found.setdefault(getattr(row, key), []).append(row)
    return {k: tuple(v) for k, v in found.items()}
