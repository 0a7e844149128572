"""The figures of yesterday, told each morning at eight by the company's clock; once, whoever runs this."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.db import Database
from dcx_ari.store.leases import claim
from dcx_ari.store.models import Call
from dcx_ari.store.outbox import tell

HOUR = 8
_LATE_MS = 12 * 3_600_000  # an engine that was down all morning tells it later; by the evening nobody wants it
_KEPT_MS = 40 * 86_400_000


async def run(database: Database, zone: ZoneInfo, now: int) -> int:
    """The job; see `jobs.Job`."""
    today = datetime.fromtimestamp(now / 1000, zone).date()
    due = _at(today, HOUR, zone)
    if now < due:
        return due
    if now < due + _LATE_MS:
        yesterday = today - timedelta(days=1)
        async with database.write() as session:
            if await claim(session, f"summary/{yesterday}", now, keep_until=now + _KEPT_MS):
                await tell(session, "summary.daily", await figures(session, yesterday, zone), at_ms=now)
    return _at(today + timedelta(days=1), HOUR, zone)


def _at(day: date, hour: int, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, time(hour), zone).timestamp() * 1000)


async def figures(session: AsyncSession, day: date, zone: ZoneInfo) -> dict[str, Any]:
    """Calls that arrived on that day of the zone, without test calls; cents."""
    begin, end = _at(day, 0, zone), _at(day + timedelta(days=1), 0, zone)
    yes, no = 1, 0
    query = select(
        func.count(),
        func.coalesce(func.sum(case((col(Call.connected_at).is_not(None), yes), else_=no)), 0),
        func.coalesce(func.sum(case((col(Call.converted).is_(True), yes), else_=no)), 0),
        func.coalesce(func.sum(Call.revenue_cents), 0),
        func.coalesce(func.sum(Call.payout_cents), 0),
        func.coalesce(func.sum(Call.cost_cents), 0),
    ).where(col(Call.started_at) >= begin, col(Call.started_at) < end, col(Call.test).is_(False))
    connection = await session.connection()
    calls, connected, converted, revenue, payout, cost = (int(each) for each in (await connection.execute(query)).one())
    return {
        "day": day.isoformat(),
        "calls": calls,
        "connected": connected,
        "converted": converted,
        "revenue_cents": revenue,
        "payout_cents": payout,
        "cost_cents": cost,
        "profit_cents": revenue - payout - cost,
    }
