"""Reports: the calls of a range of days, summed by one or two dimensions. Totals are the ledger's, to the cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.date_ranges import RANGES as RANGES
from dcx_ari.decide.date_ranges import DateRange, days_between, named_range
from dcx_ari.decide.periods import local
from dcx_ari.services.call_filters import conditions, find_filter
from dcx_ari.services.call_view import View
from dcx_ari.services.errors import Forbidden, Invalid
from dcx_ari.services.parse import suggest
from dcx_ari.services.report_dims import ALIASES, DIMENSIONS, folds, labels, order_of
from dcx_ari.services.report_rent import Rents, rents_by
from dcx_ari.services.times import rfc3339
from dcx_ari.store.models.calls import Call
from dcx_ari.store.reports import MAX_GROUPS, Groups, Sums, TooManyGroups, sums_by

MAX_LEVELS = 2
FIGURES = (
    *("calls", "connected", "converted", "conversion_percent", "average_duration_s", "revenue_cents", "payout_cents"),
    *("cost_cents", "profit_cents", "rpc_cents"),
)
NUMBER_COST = "number_cost_cents"
_NEEDS = {
    "converted": "converted",
    "conversion_percent": "converted",
    "revenue_cents": "revenue_cents",
    "payout_cents": "payout_cents",
    "cost_cents": "cost_cents",
    "profit_cents": "cost_cents",
    "rpc_cents": "revenue_cents",
    NUMBER_COST: "cost_cents",
}
"""The column of a call without which a figure may not be seen."""
_OWN_TIMES = frozenset({"date", "date_from", "date_to"})


@dataclass(frozen=True, slots=True)
class Spec:
    """What is asked for. Days are ISO dates, both included; without them `date_range` counts.

    `sort_by` is a figure or a dimension of the report; empty: dimensions in time by time, others by calls.
    `limit` 0: all rows. `number_cost` adds the rent of the numbers, by their calls, to the cost.
    """

    group_by: tuple[str, ...] = ("buyer",)
    date_range: str = "last_7_days"
    from_date: str = ""
    to_date: str = ""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sort_by: str = ""
    descending: bool = True
    limit: int = 0
    number_cost: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """`rows` and `totals` are ready for JSON: dimension values, then `figures`; money in cents."""

    group_by: tuple[str, ...]
    figures: tuple[str, ...]
    days: DateRange
    zone: str
    rows: list[dict[str, Any]]
    totals: dict[str, Any]
    made_at: int

    def as_json(self) -> dict[str, Any]:
        return {
            "group_by": list(self.group_by),
            "from_date": self.days.first.isoformat(),
            "to_date": self.days.last.isoformat(),
            "timezone": self.zone,
            "updated_at": rfc3339(self.made_at),
            "columns": [*self.group_by, *self.figures],
            "data": self.rows,
            "totals": self.totals,
        }


def spec_of(group_by: str, **given: Any) -> Spec:
    """With the names of dimensions as people write them: `buyer,day`. Raises Invalid."""
    names = [name.strip().lower().replace("-", "_") for name in group_by.split(",") if name.strip()]
    wanted = tuple(ALIASES.get(name, name) for name in names)
    for name in wanted:
        if name not in DIMENSIONS:
            raise Invalid("group_by", f"{name!r} is not one of {', '.join(DIMENSIONS)}{suggest(name, DIMENSIONS)}")
    if not 1 <= len(wanted) <= MAX_LEVELS or len(set(wanted)) < len(wanted):
        raise Invalid("group_by", f"must name one or two different ones of {', '.join(DIMENSIONS)}")
    return Spec(group_by=wanted, **given)


def days_of(spec: Spec, now: int, view: View) -> DateRange:
    """The range of a report at `now` (epoch ms), on the company's clock. Raises Invalid."""
    if not spec.from_date and not spec.to_date:
        name = spec.date_range.strip().lower().replace("-", "_").removesuffix("ours")
        if name not in RANGES:
            raise Invalid("date_range", f"must be one of {', '.join(RANGES)}{suggest(name, RANGES)}")
        return named_range(name, now, view.zone)
    last = _date("to_date", spec.to_date) if spec.to_date else local(now, view.zone).date()
    first = _date("from_date", spec.from_date) if spec.from_date else last
    try:
        return days_between(first, last, view.zone)
    except (ValueError, OverflowError) as error:
        raise Invalid("from_date", str(error)) from None


async def report(session: AsyncSession, spec: Spec, view: View, now: int) -> Report:
    """Raises Invalid, UnknownKey, Forbidden for what the view may not see."""
    days = days_of(spec, now, view)
    if hidden := [name for name in spec.group_by if DIMENSIONS[name].column in view.hidden]:
        raise Forbidden("group_by", f"{hidden[0]} is not for this key to see")
    if spec.number_cost and "cost_cents" in view.hidden:
        raise Forbidden("number_cost", "is not for this key to see")
    wanted = await conditions_of(session, spec.filters, days, view)
    keys = [DIMENSIONS[name].expression(view) for name in spec.group_by]
    try:
        raw = await sums_by(session, keys, wanted)
    except TooManyGroups:
        raise Invalid("group_by", f"gives more than {MAX_GROUPS} rows: take a shorter range or a filter") from None
    folding = [await folds(session, name) for name in spec.group_by]
    groups: Groups = {}
    for key, sums in raw.items():
        folded = tuple(fold(value) for fold, value in zip(folding, key, strict=True))
        groups[folded] = groups.get(folded, Sums()).plus(sums)
    rents: Rents = ({}, 0)
    if spec.number_cost:
        everything = await conditions_of(session, {}, days, view) if spec.filters else None
        rents = await rents_by(session, keys, folding, wanted, everything, days, view.zone)
    names = [await labels(session, name, {key[i] for key in groups}) for i, name in enumerate(spec.group_by)]
    hidden_ones = hidden_figures(view)
    wanted_ones = (*FIGURES, *((NUMBER_COST,) if spec.number_cost else ()))
    shown = tuple(name for name in wanted_ones if name not in hidden_ones)
    rows = [_row(spec, key, groups[key], rents[0].get(key), names, shown) for key in _ordered(spec, groups)]
    total = Sums()
    for sums in groups.values():
        total = total.plus(sums)
    totals = figures(total, shown, sum(rents[0].values()) + rents[1] if spec.number_cost else None)
    return Report(spec.group_by, shown, days, view.zone.key, _sorted(spec, rows, shown), totals, now)


def hidden_figures(view: View) -> frozenset[str]:
    """The figures that are not for this view to see."""
    return frozenset(name for name, column in _NEEDS.items() if column in view.hidden)


async def conditions_of(
    session: AsyncSession, filters: Mapping[str, Sequence[str]], days: DateRange, view: View
) -> list[Any]:
    """What calls must be: of these days, no test calls unless they are asked for. Raises Invalid, UnknownKey."""
    for name in filters:
        found = find_filter(name)
        if name in _OWN_TIMES or (found is not None and found is find_filter("date_from")):
            raise Invalid(name, "is not a filter of reports: use from_date, to_date or date_range")
    found_ = await conditions(session, filters, view)
    if "test" not in filters:
        found_.append(col(Call.test).is_(False))
    return [col(Call.started_at) >= days.from_ms, col(Call.started_at) < days.to_ms, *found_]


def figures(sums: Sums, shown: Sequence[str], rent: int | None = None) -> dict[str, Any]:
    """The columns of a report from its sums. Of no calls there is no average and no share: null."""
    cost = sums.cost_cents + (rent or 0)
    made = {
        "calls": sums.calls,
        "connected": sums.connected,
        "converted": sums.converted,
        "conversion_percent": _ratio(100 * sums.converted, sums.calls, 2),
        "average_duration_s": _ratio(sums.talk_ms, 1000 * sums.connected, 1),
        "revenue_cents": sums.revenue_cents,
        "payout_cents": sums.payout_cents,
        "cost_cents": cost,
        "profit_cents": sums.revenue_cents - sums.payout_cents - cost,
        "rpc_cents": _ratio(sums.revenue_cents, sums.calls, 0),
        NUMBER_COST: rent or 0,
    }
    return {name: made[name] for name in shown}


def _ratio(part: int, whole: int, digits: int) -> float | int | None:
    """Rounded half up, without floating point on the way to the last digit."""
    if whole == 0:
        return None
    scale: int = 10**digits
    rounded = (2 * part * scale + whole) // (2 * whole)
    return rounded / scale if digits else rounded


def _row(
    spec: Spec,
    key: tuple[Any, ...],
    sums: Sums,
    rent: int | None,
    names: Sequence[Mapping[Any, str]],
    shown: Sequence[str],
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value, known in zip(spec.group_by, key, names, strict=True):
        if DIMENSIONS[name].row:
            row[name] = known.get(value)
            row[f"{name}_id"] = value
        else:
            row[name] = value
    return row | figures(sums, shown, rent)


def _ordered(spec: Spec, groups: Groups) -> list[tuple[Any, ...]]:
    """Level by level: dimensions in time by time, others by calls; what has no value comes last."""
    weights: list[dict[Any, int]] = [{} for _ in spec.group_by]
    for key, sums in groups.items():
        for level, value in enumerate(key):
            weights[level][value] = weights[level].get(value, 0) + sums.calls

    def rank(key: tuple[Any, ...]) -> tuple[Any, ...]:
        made: list[Any] = []
        for level, (name, value) in enumerate(zip(spec.group_by, key, strict=True)):
            made.append(value is None)
            if DIMENSIONS[name].in_time:
                made.append(order_of(name, value) if value is not None else 0)
            else:
                last = level == len(key) - 1
                made.append(-(groups[key].calls if last else weights[level][value]))
                made.append(str(value))
        return tuple(made)

    return sorted(groups, key=rank)


def _sorted(spec: Spec, rows: list[dict[str, Any]], shown: Sequence[str]) -> list[dict[str, Any]]:
    if spec.sort_by:
        name = spec.sort_by.strip().lower().replace("-", "_")
        name = f"{name}_cents" if f"{name}_cents" in shown else name
        known = (*spec.group_by, *shown)
        if name not in known:
            raise Invalid("sort_by", f"{spec.sort_by!r} is not one of {', '.join(known)}{suggest(name, known)}")
        have = [row for row in rows if row[name] is not None]
        none = [row for row in rows if row[name] is None]
        rows = [*sorted(have, key=lambda row: order_of(name, row[name]), reverse=spec.descending), *none]
    if spec.limit < 0:
        raise Invalid("limit", "must be 0 (all) or more")
    return rows[: spec.limit] if spec.limit else rows


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(name, "must be a day such as 2026-01-31") from None
