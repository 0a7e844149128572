"""The dashboard: today beside yesterday, buyers, traffic sources, and the figures of a range of days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms as now_ms
from dcx_ari.decide.date_ranges import DateRange, days_between
from dcx_ari.decide.delta import delta
from dcx_ari.decide.periods import local
from dcx_ari.services.call_view import View
from dcx_ari.services.concurrency import concurrency
from dcx_ari.services.errors import Invalid
from dcx_ari.services.reports import FIGURES, Spec, conditions_of, days_of, figures, hidden_figures
from dcx_ari.services.times import rfc3339
from dcx_ari.store.models.calls import Call
from dcx_ari.store.reports import Sums, sums_by

COMPARE = ("full", "elapsed")
_WIDGETS = {
    "cost_cents": "telephone_cost_cents",
    "average_duration_s": "average_call_length_s",
    "rpc_cents": "revenue_per_call_cents",
}


async def comparative_stats(
    session: AsyncSession, view: View, now: int, *, day: str = "", compare_day: str = "", compare: str = "full"
) -> dict[str, Any]:
    """Calls, revenue (cents) and conversions of two days, and how much they have grown (`decide.delta`).

    With `compare` elapsed, the other day is counted only as far as `day` has gone. A traffic source sees what it earns
    as revenue. Raises Invalid.
    """
    if compare not in COMPARE:
        raise Invalid("compare", f"must be one of {', '.join(COMPARE)}")
    first = _day("date", day, view, now) if day else local(now, view.zone).date()
    other = _day("compare_date", compare_day, view, now) if compare_day else first - timedelta(days=1)
    today, yesterday = days_between(first, first, view.zone), days_between(other, other, view.zone)
    if compare == "elapsed":
        gone = max(0, min(now, today.to_ms) - today.from_ms)
        yesterday = DateRange(other, other, yesterday.from_ms, min(yesterday.to_ms, yesterday.from_ms + gone))
    found = [await _compared(session, view, days) for days in (today, yesterday)]
    growth = {name: delta(found[0][name], found[1][name]) for name in found[0]}
    return {"today": found[0], "yesterday": found[1], "delta": growth}


async def summary(
    session: AsyncSession, view: View, now: int, *, date_range: str = "today", from_date: str = "", to_date: str = ""
) -> dict[str, Any]:
    """The widgets of a range of days, the calls by status, and what is up now. Raises Invalid."""
    days = days_of(Spec(date_range=date_range, from_date=from_date, to_date=to_date), now, view)
    wanted = await conditions_of(session, {}, days, view)
    groups = await sums_by(session, [col(Call.status)], wanted)
    total = Sums()
    for sums in groups.values():
        total = total.plus(sums)
    shown = figures(total, [name for name in FIGURES if name not in hidden_figures(view)])
    made = {_WIDGETS.get(name, name): value for name, value in shown.items()}
    statuses = sorted(groups, key=lambda key: (-groups[key].calls, key))
    up = select(func.count()).select_from(Call).where(col(Call.ended_at).is_(None), *view.conditions())
    made |= {
        "calls_by_status": [{"status": key[0], "calls": groups[key].calls} for key in statuses],
        "calls_in_progress": (await session.exec(up)).one(),
        "active_cc": await concurrency(session, view),
    }
    if "source_converted" not in view.hidden:
        attempted, converted = await _source_conversions(session, wanted)
        made["source_conversions"] = {"attempted": attempted, "converted": converted}
    if "converted" not in view.hidden:
        made["buyer_conversions"] = {"attempted": total.connected, "converted": total.converted}
    return {
        "from_date": days.first.isoformat(),
        "to_date": days.last.isoformat(),
        "timezone": view.zone.key,
        "updated_at": rfc3339(now),
        **made,
    }


async def _compared(session: AsyncSession, view: View, days: DateRange) -> dict[str, int]:
    sums = (await sums_by(session, [], await conditions_of(session, {}, days, view))).get((), Sums())
    if view.source_id is None:
        return {"calls": sums.calls, "revenue": sums.revenue_cents, "conversions": sums.converted}
    return {"calls": sums.calls, "revenue": sums.payout_cents, "conversions": await _paid(session, view, days)}


async def _paid(session: AsyncSession, view: View, days: DateRange) -> int:
    return (await _source_conversions(session, await conditions_of(session, {}, days, view)))[1]


async def _source_conversions(session: AsyncSession, wanted: list[Any]) -> tuple[int, int]:
    """Calls of traffic sources, and how many of them the source is paid for."""
    paid = func.sum(case((col(Call.source_converted), 1), else_=0))
    query = select(func.count(), paid).select_from(Call).where(*wanted, col(Call.traffic_source_id).is_not(None))
    calls, converted = (await session.exec(query)).one()
    return calls, int(converted or 0)


def _day(name: str, text: str, view: View, now: int) -> date:
    word = text.strip().lower()
    today = local(now, view.zone).date()
    if word in ("today", "yesterday"):
        return today if word == "today" else today - timedelta(days=1)
    try:
        found = date.fromisoformat(word)
        days_between(found, found, view.zone)
    except (ValueError, OverflowError):
        raise Invalid(name, "must be a day such as 2026-01-31, today or yesterday") from None
    return found
