"""What the caps of a page of rows have used, and which are reached: one look at the ledger's counters for all.

`*_used` is what is booked in the period that contains now, in the row's own zone; `concurrency_used` is what is live.
A cap is reached where what is booked and what live calls hold come to its limit; no limit is never reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.decide.periods import Period, period_keys, resets_at
from dcx_ari.decide.periods import zone_of as zone_named
from dcx_ari.services.checks import More
from dcx_ari.services.times import rfc3339, zone_of
from dcx_ari.store.ledger.models import CapCounter

Counters = Mapping[tuple[int, str, str, str], tuple[int, int]]
"""(row id, metric, period, period key) -> booked, held."""

_NOTHING = (0, 0)
_C: Any = CapCounter.__table__.c  # type: ignore[attr-defined]
_READ = (_C.scope_id, _C.metric, _C.period, _C.period_key, _C.used, _C.held)


class Shown(NamedTuple):
    """One cap: its name in `decide.caps`, what it counts ("" for the row's `cap_metric`), and its columns."""

    cap: str
    metric: str
    period: Period
    limit: str
    used: str


@dataclass(frozen=True, slots=True)
class Kind:
    """The caps of one kind of row. `enforced`: the column that says whether the caps by the clock refuse calls."""

    scope: str
    caps: tuple[Shown, ...]
    enforced: str | None = None


_LIVE = Shown("concurrency", "attempt", "concurrent", "concurrency_limit", "concurrency_used")


def _calls(metric: str) -> tuple[Shown, ...]:
    return (
        Shown("cap.total", metric, "total", "total_cap", "total_used"),
        Shown("cap.monthly", metric, "month", "monthly_cap", "monthly_used"),
        Shown("cap.daily", metric, "day", "daily_cap", "daily_used"),
        Shown("cap.hourly", metric, "hour", "hourly_cap", "hourly_used"),
    )


def _sales(name: str, period: Period) -> tuple[Shown, ...]:
    cents = (f"revenue_cap_{name}_cents", f"revenue_used_{name}_cents")
    return (
        Shown(f"cap.converted_{name}", "convert", period, f"converted_{name}_limit", f"converted_{name}_used"),
        Shown(f"cap.revenue_{name}", "revenue_cents", period, *cents),
    )


_SALES = (*_sales("total", "total"), *_sales("monthly", "month"), *_sales("daily", "day"))
BUYERS = Kind("buyer", (*_calls(""), *_SALES[::2], *_SALES[1::2], _LIVE))
GROUPS = Kind("group", (*_calls("connect"), _LIVE))
CAMPAIGNS = Kind("campaign", (*_calls("connect"), _LIVE))
SOURCES = Kind(
    "source",
    (
        Shown("cap.monthly", "connect", "month", "monthly_call_cap", "monthly_calls_used"),
        Shown("cap.daily", "connect", "day", "daily_call_cap", "daily_calls_used"),
        _LIVE,
    ),
    enforced="auto_pause_on_cap",
)


KINDS: Mapping[str, Kind] = {"buyers": BUYERS, "groups": GROUPS, "campaigns": CAMPAIGNS, "sources": SOURCES}
"""By name of the resource."""
LIMITS: Mapping[str, str] = {cap.limit: cap.used for kind in KINDS.values() for cap in kind.caps}
"""Column of a limit -> the column that shows what of it is used."""


def usage_of(kind: Kind) -> More:
    """For `Resource.more`: the used columns, `maxed_out`, and `maxed_by` with cap, used, limit and resets_at."""

    async def more(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
        return await _usage(session, kind, rows, now_ms())

    return more


def together(*parts: More) -> More:
    """All that these work out."""

    async def more(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
        found: dict[int, dict[str, Any]] = {row.id: {} for row in rows}
        for part in parts:
            for row_id, values in (await part(session, rows)).items():
                found[row_id].update(values)
        return found

    return more


async def _usage(session: AsyncSession, kind: Kind, rows: Sequence[Any], now: int) -> Mapping[int, Mapping[str, Any]]:
    read = [_asked(kind, row) for row in rows]
    company = zone_of(session)
    zones = {name: zone_named(name) if name else company for name in {values["timezone"] for values in read}}
    keys = {name: period_keys(now, zone) for name, zone in zones.items()}
    counters = await _counters(session, kind, [values["id"] for values in read], keys.values())
    shown: dict[int, Mapping[str, Any]] = {}
    for values in read:
        used, maxed = _row(kind, values, keys[values["timezone"]], counters)
        zone = zones[values["timezone"]]
        by = [
            {"cap": cap, "used": count, "limit": limit, "resets_at": _moment(resets_at(period, now, zone))}
            for cap, count, limit, period in maxed
        ]
        shown[values["id"]] = {**used, "maxed_out": bool(by), "maxed_by": by}
    return shown


def _asked(kind: Kind, row: Any) -> Mapping[str, Any]:
    """The columns of a row that matter here, whether it is read plain or by the ORM."""
    if isinstance(row, Mapping):
        return row
    names = ("id", "timezone", *(cap.limit for cap in kind.caps), "cap_metric", kind.enforced or "id")
    return {name: getattr(row, name, "") for name in names}


async def _counters(
    session: AsyncSession, kind: Kind, ids: Sequence[int], keys: Iterable[Mapping[Period, str]]
) -> Counters:
    wanted = sorted({key for each in keys for key in each.values()})
    query = select(*_READ).where(_C.scope == kind.scope, _C.scope_id.in_(ids), _C.period_key.in_(wanted))
    found = (await (await session.connection()).execute(query)).all()
    return {(row_id, metric, period, key): (used, held) for row_id, metric, period, key, used, held in found}


def _row(
    kind: Kind, row: Mapping[str, Any], keys: Mapping[Period, str], counters: Counters
) -> tuple[dict[str, Any], list[tuple[str, int, int, Period]]]:
    values: dict[str, Any] = {}
    maxed = []
    own, row_id = row.get("cap_metric", ""), row["id"]
    clock_counts = kind.enforced is None or row[kind.enforced]
    for cap, metric, period, limit_column, used_column in kind.caps:
        booked, held = counters.get((row_id, metric or own, period, keys[period]), _NOTHING)
        values[used_column] = held if period == "concurrent" else booked
        limit = row[limit_column]
        if limit is not None and booked + held >= limit and (clock_counts or period == "concurrent"):
            maxed.append((cap, booked + held, limit, period))
    return values, maxed


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
