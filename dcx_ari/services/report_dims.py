"""What calls can be grouped by: every dimension by its name, what the database groups it by, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import case
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.call_conditions import WEEKDAYS
from dcx_ari.services.call_filters import FILTERS
from dcx_ari.services.call_view import View
from dcx_ari.services.find import keys_of
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.models import Campaign
from dcx_ari.store.models.calls import Call

Fold = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Dimension:
    """`column` is the call's column; `fold` turns its value into that of the group, `row` names the kind of row
    whose id it is. `in_time`: groups are shown in their own order, others by their number of calls. `whole`: the
    column is a whole number that has an index of its own.
    """

    help: str
    column: str
    fold: Fold | None = None
    row: str = ""
    in_time: bool = False
    whole: bool = False

    def expression(self, view: View) -> Any:
        if self.row or self.whole:
            # Else SQLite goes in the order of that index, over the rows of all times.
            return col(getattr(Call, self.column)) + 0
        if self.column != "duplicate":
            return col(getattr(Call, self.column))
        make = FILTERS["duplicate"].make
        return case((make(view, "duplicate", ["true"]), 1), else_=0) if make is not None else None


def _day(value: int | None) -> date | None:
    return None if value is None else date(value // 10_000, value // 100 % 100, value % 100)


def _iso_day(value: int | None) -> str | None:
    day = _day(value)
    return None if day is None else day.isoformat()


def _iso_week(value: int | None) -> str | None:
    day = _day(value)
    if day is None:
        return None
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _month(value: int | None) -> str | None:
    day = _day(value)
    return None if day is None else f"{day:%Y-%m}"


def _weekday(value: int | None) -> str | None:
    return None if value is None else WEEKDAYS[value - 1]


def _text(value: str | None) -> str | None:
    return value or None


def _flag(value: Any) -> str:
    return "yes" if value else "no"


DIMENSIONS: Mapping[str, Dimension] = {
    "buyer": Dimension("Buyer who was connected.", "buyer_id", row="buyers"),
    "campaign": Dimension("Campaign.", "campaign_id", row="campaigns"),
    "source": Dimension("Traffic source.", "traffic_source_id", row="sources"),
    "number": Dimension("Tracking number.", "number_id", row="numbers"),
    "group": Dimension("Group of the buyer.", "group_id", row="groups"),
    "vertical": Dimension("Vertical of the campaign.", "campaign_id", whole=True),
    "state": Dimension("State of the caller.", "caller_state", _text),
    "city": Dimension("City of the caller's number.", "caller_city", _text),
    "hour": Dimension("Hour of arrival, 0 to 23.", "local_hour", in_time=True),
    "weekday": Dimension("Day of the week.", "local_weekday", _weekday, in_time=True),
    "day": Dimension("Day.", "local_day", _iso_day, in_time=True),
    "week": Dimension("Week (ISO 8601).", "local_day", _iso_week, in_time=True),
    "month": Dimension("Month.", "local_day", _month, in_time=True),
    "status": Dimension("Status.", "status"),
    "failure_reason": Dimension("Why no buyer was connected.", "failure_reason", _text),
    "outcome": Dimension("What came of it.", "outcome", _text),
    "direction": Dimension("inbound or outbound.", "direction"),
    "duplicate": Dimension("Whether the caller had called the campaign before.", "duplicate", _flag),
}
"""By the name under which they are asked for."""

ALIASES = {"traffic_source": "source", "tracking_number": "number", "caller_state": "state", "disposition": "outcome"}


def order_of(name: str, value: Any) -> Any:
    """What groups of a dimension in time are ordered by."""
    if name == "weekday" and value in WEEKDAYS:
        return WEEKDAYS.index(value)
    return value


async def folds(session: AsyncSession, name: str) -> Fold:
    """From the value that the database has grouped by to that of the group."""
    if name != "vertical":
        return DIMENSIONS[name].fold or (lambda value: value)
    rows = (await session.exec(select(Campaign.id, Campaign.vertical))).all()
    verticals = {row[0]: row[1] or None for row in rows}
    return lambda value: verticals.get(value)


async def labels(session: AsyncSession, name: str, values: set[Any]) -> Mapping[Any, str]:
    """Names of the rows that the groups are of; a deleted one is `#3 (deleted)`."""
    kind = DIMENSIONS[name].row
    if not kind:
        return {}
    ids = [value for value in values if value is not None]
    known = await keys_of(session, RESOURCES[kind], ids)
    return {each: known.get(each, f"#{each} (deleted)") for each in ids}
