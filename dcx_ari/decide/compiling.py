"""Compiling the configuration: what can be worked out before a call comes, once per change.

A part is taken over from the previous compilation where its row and all that it depends on are the same
objects, so that the cost of a change is little more than looking. A row that cannot be compiled (unknown
zone, dangerous pattern) gets a `fault`, which is the named reason in Decisions; nothing else is affected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from dcx_ari.decide.caps import buyer_caps, campaign_caps, group_caps, source_caps
from dcx_ari.decide.checks import CALL_CHECKS, checks_of
from dcx_ari.decide.compiled import (
    Candidate,
    CompiledBuyer,
    CompiledCampaign,
    CompiledGroup,
    CompiledSource,
    Failure,
    cap_lines,
)
from dcx_ari.decide.conversion import expected_cents
from dcx_ari.decide.endpoints import dialable
from dcx_ari.decide.filters import CompiledFilter, compile_filter
from dcx_ari.decide.periods import zone_of
from dcx_ari.decide.plan import Compiled, plans_of
from dcx_ari.decide.rowjson import pack
from dcx_ari.decide.rows import Attachment, Buyer, Campaign, Filter, Group, Member, Schedule, Source, Trunk
from dcx_ari.decide.schedules import CompiledSchedule, compile_schedule
from dcx_ari.decide.weights import salt_of

T = TypeVar("T")
_ZONELESS = ZoneInfo("UTC")


def compile_all(read: Mapping[str, Mapping[int, Any]], company_zone: str, old: Compiled | None) -> Compiled:
    """Compile the tables in `read` (by table name, then id)."""
    before = old if old is not None and old.company_zone == company_zone else Compiled()
    schedules = {
        row.id: _same_or(before.schedules.get(row.id), row, lambda r: (r, _schedule(r)))
        for row in read["schedules"].values()
    }
    work = _Work(read, company_zone, schedules, before)
    buyers = {row.id: work.buyer(row) for row in read["buyers"].values()}
    groups = {row.id: work.group(row, buyers) for row in read["buyer_groups"].values()}
    campaigns = {row.id: work.campaign(row) for row in read["campaigns"].values()}
    candidates = work.candidates(read["campaign_buyers"].values(), buyers, groups)
    return Compiled(
        schedules,
        buyers,
        groups,
        campaigns,
        {row.id: work.source(row) for row in read["traffic_sources"].values()},
        candidates,
        plans_of(campaigns, candidates.values()),
        company_zone,
        work.trunks,
        work.phones,
        work.peers,
        work.member_rows,
    )


def _same_or(known: tuple[Any, T] | None, row: Any, make: Callable[[Any], tuple[Any, T]]) -> tuple[Any, T]:
    return known if known is not None and known[0] is row else make(row)


def _schedule(row: Schedule) -> CompiledSchedule | Failure:
    try:
        return compile_schedule(row)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return _fault(f"schedule {row.id}: {error}")


def _fault(message: str) -> Failure:
    return Failure("misconfigured", {"message": message})


class _Work:
    """One compilation: what the rows depend on, and whether that is as it was."""

    def __init__(
        self,
        read: Mapping[str, Mapping[int, Any]],
        company_zone: str,
        schedules: Mapping[int, tuple[Schedule, CompiledSchedule | Failure]],
        before: Compiled,
    ) -> None:
        self.company_zone = company_zone
        self.schedules = schedules
        self.before = before
        self.trunks: Mapping[int, Trunk] = read["trunks"]
        self.phones = frozenset(n.phone_number for n in read["numbers"].values())
        self.member_rows: Mapping[int, Member] = read["buyer_group_members"]
        self.members: dict[int, list[Member]] = {}
        for member in self.member_rows.values():
            self.members.setdefault(member.group_id, []).append(member)
        unchanged = self.member_rows is before.member_rows
        self.peers = before.peers if unchanged else _peers(self.members.values())
        self.same_endpoints = self.phones == before.phones and self.trunks == before.trunks

    def buyer(self, row: Buyer) -> CompiledBuyer:
        known = self.before.buyers.get(row.id)
        ready, no_hours = self._hours(row.schedule_id)
        peers = self.peers.get(row.id, frozenset())
        if known is not None and known.row is row and known.schedule is ready and known.peers == peers:
            same = self.same_endpoints or known.endpoint_fault == self._endpoint_fault(row)
            if same and no_hours is None:
                return known
        fault, zone, filters = self._common(row.timezone, row.filters)
        fault = fault or no_hours
        endpoint_fault = self._endpoint_fault(row)
        lines = cap_lines(buyer_caps(row))
        return CompiledBuyer(
            row=row,
            id=row.id,
            zone=zone,
            schedule=ready,
            filters=filters,
            caps=tuple(line for line in lines if line.period != "concurrent" or row.min_seconds_between is None),
            concurrency=next((line for line in lines if line.period == "concurrent"), None),
            peers=peers,
            fault=fault,
            endpoint_fault=endpoint_fault,
            expected_cents=expected_cents(row),
            **_checks(row, faulty=(fault or endpoint_fault) is not None),
            packed=json.dumps(pack(row), separators=(",", ":")),
        )

    def _common(
        self, timezone: str | None, filters: tuple[Filter, ...]
    ) -> tuple[Failure | None, ZoneInfo, tuple[CompiledFilter, ...]]:
        try:
            zone = zone_of(timezone or self.company_zone)
        except ValueError as error:
            return _fault(f"timezone: {error}"), _ZONELESS, ()
        try:
            return None, zone, tuple(compile_filter(f) for f in filters)
        except ValueError as error:
            return _fault(str(error)), zone, ()

    def _hours(self, schedule_id: int | None) -> tuple[CompiledSchedule | None, Failure | None]:
        """The schedule, or why there is none; neither where none is wanted."""
        if schedule_id is None:
            return None, None
        entry = self.schedules.get(schedule_id)
        if entry is None:
            return None, _fault(f"schedule_id: there is no schedule {schedule_id}")
        found = entry[1]
        return (found, None) if isinstance(found, CompiledSchedule) else (None, found)

    def _endpoint_fault(self, row: Buyer) -> Failure | None:
        if row.endpoint_type not in ("PHONE_NUMBER", "SIP"):
            return None
        if row.endpoint_value in self.phones:
            return Failure("loop", {"endpoint": row.endpoint_value})
        if dialable(row.endpoint_value, self.trunks, row.trunk_id) is None:
            return Failure("no_trunk", {"endpoint": row.endpoint_value, "trunk_id": row.trunk_id})
        return None

    def group(self, row: Group, buyers: Mapping[int, CompiledBuyer]) -> CompiledGroup:
        members = tuple(
            (m, buyers[m.buyer_id])
            for m in sorted(self.members.get(row.id, ()), key=lambda m: m.buyer_id)
            if m.buyer_id in buyers
        )
        known = self.before.groups.get(row.id)
        if known is not None and known.row is row and _identical(known.members, members):
            return known
        fault, zone, _ = self._common(row.timezone, ())
        nested = next((b.id for _, b in members if b.row.endpoint_type == "GROUP"), None)
        if nested is not None:
            fault = fault or _fault(f"buyer {nested} is a group itself: groups do not nest")
        return CompiledGroup(row, zone, cap_lines(group_caps(row)), fault, members)

    def campaign(self, row: Campaign) -> CompiledCampaign:
        known = self.before.campaigns.get(row.id)
        ready, no_hours = self._hours(row.schedule_id)
        if known is not None and known.row is row and known.schedule is ready and known.fault is None:
            return known
        fault, zone, filters = self._common(row.timezone, row.filters)
        fault = fault or no_hours
        return CompiledCampaign(row, zone, ready, filters, cap_lines(campaign_caps(row)), fault)

    def source(self, row: Source) -> CompiledSource:
        known = self.before.sources.get(row.id)
        if known is not None and known.row is row:
            return known
        fault, zone, _ = self._common(row.timezone, ())
        return CompiledSource(row, zone, cap_lines(source_caps(row)), fault)

    def candidates(
        self,
        attachments: Iterable[Attachment],
        buyers: Mapping[int, CompiledBuyer],
        groups: Mapping[int, CompiledGroup],
    ) -> dict[int, Candidate]:
        names = {group.row.name: group for group in groups.values()}
        found: dict[int, Candidate] = {}
        for attachment in attachments:
            buyer = buyers.get(attachment.buyer_id) if attachment.buyer_id is not None else None
            group = groups.get(attachment.group_id) if attachment.group_id is not None else None
            if buyer is not None and buyer.row.endpoint_type == "GROUP":
                value = buyer.row.endpoint_value
                group = groups.get(int(value)) if value.isdecimal() else names.get(value)
                if group is None:
                    fault = _fault(f"endpoint_value: there is no group {value}")
                    buyer = replace(buyer, fault=fault, **_checks(buyer.row, faulty=True))
            known = self.before.candidates.get(attachment.id)
            if known is not None and known.attachment is attachment and known.buyer is buyer and known.group is group:
                found[attachment.id] = known
            elif (made := _candidate(attachment, buyer, group)) is not None:
                found[attachment.id] = made
        return found


def _checks(row: Buyer, *, faulty: bool) -> dict[str, Any]:
    checks = checks_of(row, faulty=faulty)
    return {"checks": checks, "own_checks": tuple(c for c in checks if c not in CALL_CHECKS)}


def _candidate(attachment: Attachment, buyer: CompiledBuyer | None, group: CompiledGroup | None) -> Candidate | None:
    """None where the attached row is gone."""
    kind = "buyer" if attachment.buyer_id is not None else "group"
    row = buyer.row if buyer is not None else group.row if group is not None else None
    if row is None or (kind == "buyer" and buyer is None):
        return None
    return Candidate(
        attachment=attachment,
        kind=kind,
        id=row.id,
        tier=row.tier if attachment.tier is None else attachment.tier,
        weight=row.weight if attachment.weight is None else attachment.weight,
        salt=salt_of(kind, row.id),
        plain=group is None and attachment.status == "ACTIVE",
        buyer=buyer,
        group=group,
    )


def _identical(a: tuple[tuple[Member, CompiledBuyer], ...], b: tuple[tuple[Member, CompiledBuyer], ...]) -> bool:
    return len(a) == len(b) and all(m1 is m2 and b1 is b2 for (m1, b1), (m2, b2) in zip(a, b, strict=True))


def _peers(groups: Iterable[list[Member]]) -> dict[int, frozenset[int]]:
    """For every buyer in a group: all buyers that share one with it."""
    found: dict[int, frozenset[int]] = {}
    for members in groups:
        ids = frozenset(m.buyer_id for m in members)
        for buyer_id in ids:
            found[buyer_id] = found[buyer_id] | ids if buyer_id in found else ids
    return found
