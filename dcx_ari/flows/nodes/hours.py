"""hours: branch by opening hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

from msgspec import Meta

from dcx_ari.call.call import Call
from dcx_ari.decide.rows import Schedule
from dcx_ari.decide.schedules import CompiledSchedule, compile_schedule
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.known import Known, missing
from dcx_ari.flows.nodes.base import Edge, Name, Node
from dcx_ari.flows.problems import Path, Problem

_Spans = Annotated[list[Annotated[list[str], Meta(min_length=2, max_length=2)]], Meta(max_length=20)]


class Hours(Node, frozen=True, tag="hours", dict=True):
    """Branch by opening hours: those of a `schedule` by name, or `weekly` ones written here.

    `holiday` is taken on public holidays and on dates that an exception closes; `closed` where it is not given.
    """

    open: Name
    closed: Name
    holiday: Name | None = None
    schedule: Annotated[str, Meta(min_length=1, max_length=255, description="Name of a schedule")] | None = None
    weekly: (
        Annotated[
            dict[Annotated[str, Meta(pattern="^(mon|tue|wed|thu|fri|sat|sun)$")], _Spans],
            Meta(description="Spans by day: mon: [[09:00, 17:00]]"),
        ]
        | None
    ) = None
    timezone: Annotated[str, Meta(max_length=64, description="IANA zone of weekly; empty: the company's")] = ""
    holidays: Annotated[dict[str, str], Meta(description="Public holidays: {country: US, subdiv: NY}")] | None = None
    exceptions: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            max_length=200,
            description="Dates of their own: {date: 2026-12-24, hours: [[09:00, 12:00]]} or closed: true",
        ),
    ] = ()

    def __post_init__(self) -> None:
        if (self.schedule is None) == (self.weekly is None):
            raise ValueError("an hours node has either schedule or weekly")
        if self.schedule is not None and (self.timezone or self.holidays or self.exceptions):
            raise ValueError("timezone, holidays and exceptions go with weekly; a schedule has its own")
        if self.weekly is not None:
            self._compiled(self.timezone or "UTC")

    def edges(self) -> Iterator[Edge]:
        yield Edge("open", self.open)
        yield Edge("closed", self.closed)
        if self.holiday is not None:
            yield Edge("holiday", self.holiday)

    def problems(self, known: Known) -> Iterator[Problem]:
        if self.schedule is not None:
            yield from missing("schedule", self.schedule, known.schedules, ("schedule",))

    def place_of(self, label: str) -> Path:
        return (label,)

    async def run(self, call: Call) -> Edge | None:
        schedule = self._of(call.ports.desk.snapshot())
        if schedule is None:
            call.note("unknown_schedule", schedule=self.schedule)
            return Edge("closed", self.closed)
        piece = schedule.piece_at(call.ports.now_ms())
        if piece.open:
            return Edge("open", self.open)
        if piece.why in ("holiday", "exception") and self.holiday is not None:
            return Edge("holiday", self.holiday)
        return Edge("closed", self.closed)

    def _of(self, snapshot: Snapshot) -> CompiledSchedule | None:
        if self.schedule is None:
            return self._own if self.timezone else self._in_zone(snapshot.company_zone)
        for row, compiled in snapshot.compiled.schedules.values():
            if row.name == self.schedule:
                return compiled if isinstance(compiled, CompiledSchedule) else None
        return None

    @cached_property
    def _own(self) -> CompiledSchedule:
        return self._compiled(self.timezone)

    @cached_property
    def _by_zone(self) -> dict[str, CompiledSchedule]:
        return {}

    def _in_zone(self, zone: str) -> CompiledSchedule:
        if zone not in self._by_zone:
            self._by_zone[zone] = self._compiled(zone)
        return self._by_zone[zone]

    def _compiled(self, zone: str) -> CompiledSchedule:
        weekly: Mapping[str, Any] = self.weekly or {}
        return compile_schedule(
            Schedule(id=0, timezone=zone, weekly=weekly, holidays=self.holidays, exceptions=self.exceptions)
        )
