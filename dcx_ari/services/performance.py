"""Buyers and traffic sources on the dashboard: yesterday, today, now, and what is left of their caps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide import rows as d
from dcx_ari.decide.caps import Cap, CounterKey, caps_of, maxed_out
from dcx_ari.decide.date_ranges import DateRange, days_between
from dcx_ari.decide.periods import local, period_keys, zone_of
from dcx_ari.decide.rowjson import parse
from dcx_ari.decide.schedules import compile_schedule
from dcx_ari.services.call_view import View
from dcx_ari.services.concurrency import live_key
from dcx_ari.services.errors import Forbidden
from dcx_ari.services.reports import conditions_of
from dcx_ari.services.schedules import decided_row
from dcx_ari.services.times import rfc3339
from dcx_ari.store import models as m
from dcx_ari.store.counters import used_by
from dcx_ari.store.models.calls import Call
from dcx_ari.store.reports import Sums, sums_by


async def buyer_performance(session: AsyncSession, view: View, now: int) -> dict[str, Any]:
    """Every buyer: calls of yesterday and today, live calls, average revenue (cents a call, today), what is left of
    the call cap that is nearest to its end (null: unlimited), and when the buyer closes (null: does not, or is closed).
    Raises Forbidden for a traffic source.
    """
    if view.source_id is not None:
        raise Forbidden("buyers", "are not for this key to see")
    query = select(m.Buyer).order_by(col(m.Buyer.tier), col(m.Buyer.name))
    if view.buyer_id is not None:
        query = query.where(col(m.Buyer.id) == view.buyer_id)
    buyers = {row.id or 0: row for row in (await session.exec(query)).all()}
    today, yesterday = await _two_days(session, view, now, col(Call.buyer_id) + 0)
    zones = {row.timezone or view.zone.key for row in buyers.values()}
    keys = {key for zone in zones for key in period_keys(now, zone_of(zone)).values()}
    used = await used_by(session, "buyer", list(buyers), keys)
    closes = await _closing(session, {row.schedule_id for row in buyers.values()}, now)
    rows = []
    for row_id, row in buyers.items():
        decided = parse(d.Buyer, row.model_dump(mode="json"))
        zone = zone_of(row.timezone or view.zone.key)
        caps = caps_of(decided)
        rows.append(
            {
                "buyer_id": row_id,
                "buyer": row.name,
                "status": row.status,
                "tier": row.tier,
                "yesterday": yesterday.get(row_id, Sums()).calls,
                "today": today.get(row_id, Sums()).calls,
                "live": used.get(live_key(row_id), 0),
                "concurrency_limit": row.concurrency_limit,
                "converted": today.get(row_id, Sums()).converted,
                "revenue_cents": today.get(row_id, Sums()).revenue_cents,
                "average_revenue_cents": _average(today.get(row_id)),
                "cap_remaining": _remaining(caps, used, period_keys(now, zone)),
                "maxed_out": bool(maxed_out(caps, used, now, zone)),
                "closes_at": closes.get(row.schedule_id),
            }
        )
    return {"updated_at": rfc3339(now), "data": rows}


async def traffic_source_performance(session: AsyncSession, view: View, now: int) -> dict[str, Any]:
    """Every traffic source: calls of yesterday and today, how many of today's were connected and paid for, today's
    money (cents), and what is left of its daily cap (null: unlimited). Raises Forbidden for a buyer.
    """
    if view.buyer_id is not None:
        raise Forbidden("sources", "are not for this key to see")
    query = select(m.TrafficSource).order_by(col(m.TrafficSource.name))
    if view.source_id is not None:
        query = query.where(col(m.TrafficSource.id) == view.source_id)
    sources = {row.id or 0: row for row in (await session.exec(query)).all()}
    today, yesterday = await _two_days(session, view, now, col(Call.traffic_source_id) + 0)
    paid = await _paid(session, view, now)
    zones = {row.timezone or view.zone.key for row in sources.values()}
    keys = {key for zone in zones for key in period_keys(now, zone_of(zone)).values()}
    used = await used_by(session, "source", list(sources), keys)
    rows = []
    for row_id, row in sources.items():
        found, zone = today.get(row_id, Sums()), zone_of(row.timezone or view.zone.key)
        daily = used.get(CounterKey("source", row_id, "connect", "day", period_keys(now, zone)["day"]), 0)
        shown = {
            "source_id": row_id,
            "source": row.name,
            "status": row.status,
            "yesterday": yesterday.get(row_id, Sums()).calls,
            "today": found.calls,
            "live": used.get(CounterKey("source", row_id, "attempt", "concurrent", "now"), 0),
            "connected": found.connected,
            "attempted": found.calls,
            "converted": paid.get(row_id, 0),
            "revenue_cents": found.revenue_cents,
            "payout_cents": found.payout_cents,
            "cap_remaining": None if row.daily_call_cap is None else max(0, row.daily_call_cap - daily),
        }
        rows.append({name: value for name, value in shown.items() if name != "revenue_cents" or not view.scoped})
    return {"updated_at": rfc3339(now), "data": rows}


def _days(view: View, now: int) -> tuple[DateRange, DateRange]:
    day = local(now, view.zone).date()
    before = day - timedelta(days=1)
    return days_between(day, day, view.zone), days_between(before, before, view.zone)


async def _two_days(
    session: AsyncSession, view: View, now: int, key: Any
) -> tuple[Mapping[Any, Sums], Mapping[Any, Sums]]:
    found = [
        {group[0]: sums for group, sums in (await sums_by(session, [key], wanted)).items()}
        for days in _days(view, now)
        for wanted in [await conditions_of(session, {}, days, view)]
    ]
    return found[0], found[1]


async def _paid(session: AsyncSession, view: View, now: int) -> dict[int | None, int]:
    """Today's calls that each source is paid for."""
    wanted = await conditions_of(session, {}, _days(view, now)[0], view)
    paid = func.sum(case((col(Call.source_converted), 1), else_=0))
    source = col(Call.traffic_source_id)
    rows = (await session.exec(select(source, paid).where(*wanted).group_by(source))).all()
    return {row[0]: int(row[1] or 0) for row in rows}


async def _closing(session: AsyncSession, ids: Iterable[int | None], now: int) -> dict[int | None, str | None]:
    """When schedules that are open close."""
    wanted = sorted({each for each in ids if each is not None})
    rows = (await session.exec(select(m.Schedule).where(col(m.Schedule.id).in_(wanted)))).all() if wanted else []
    found: dict[int | None, str | None] = {}
    for row in rows:
        state = compile_schedule(decided_row(row)).state_at(now)
        found[row.id] = rfc3339(state.next_change) if state.open and state.next_change is not None else None
    return found


def _average(sums: Sums | None) -> int | None:
    return None if sums is None or sums.calls == 0 else (2 * sums.revenue_cents + sums.calls) // (2 * sums.calls)


def _remaining(caps: Sequence[Cap], used: Mapping[CounterKey, int], keys: Mapping[Any, str]) -> int | None:
    """Calls that the caps on calls leave until the nearest of them is reached; null: none has a limit."""
    left = [
        max(0, cap.limit - used.get(CounterKey(cap.scope, cap.scope_id, cap.metric, cap.period, keys[cap.period]), 0))
        for cap in caps
        if cap.limit is not None and cap.metric in ("attempt", "connect") and cap.period != "concurrent"
    ]
    return min(left, default=None)
