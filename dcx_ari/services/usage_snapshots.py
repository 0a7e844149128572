"""A buyer's usage day by day (UTC): taken at midnight, taken again for any span, shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid
from dcx_ari.services.find import find
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import usage_snapshots as store
from dcx_ari.store.db import Database
from dcx_ari.store.models import BuyerUsageSnapshot

MOST_DAYS = 3_700
_DAY = timedelta(days=1)


async def take_snapshots(database: Database, day: date, now: int) -> int:
    """Count one UTC day, again if need be, and write it down; how many rows. Raises StoreError."""
    async with database.write() as session:
        return await store.write_day(session, day, now)


async def take_due(database: Database, now: int) -> int:
    """The job of each midnight: yesterday, and earlier days that money was booked for since the day before.

    When to come again (the next midnight UTC, epoch ms). May be run at any time and any number of times.
    """
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    since = store.first_ms(today - 2 * _DAY)
    async with database.read() as session:
        touched = await store.days_touched(session, since, today)
        last = (await session.exec(select(func.max(BuyerUsageSnapshot.snapshot_date)))).one()
    missed = [last + _DAY * days for days in range(1, (today - last).days)] if last is not None else []
    for day in sorted({today - _DAY, *touched, *missed[-MOST_DAYS:]}):
        await take_snapshots(database, day, now)
    return store.first_ms(today + _DAY)


async def backfill(database: Database, first: str, last: str, now: int) -> int:
    """Count every UTC day from `first` to `last` (both included, not after today); how many rows. Raises Invalid."""
    begin, end = day_of("from", first), day_of("to", last)
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    if end < begin:
        raise Invalid("to", "must not be before from")
    if end > today:
        raise Invalid("to", f"must not be after today, {today} in UTC")
    if (end - begin).days >= MOST_DAYS:
        raise Invalid("from", f"must be within {MOST_DAYS} days of to")
    return sum([await take_snapshots(database, begin + _DAY * each, now) for each in range((end - begin).days + 1)])


async def snapshots(
    session: AsyncSession, key: str | int, first: str | None = None, last: str | None = None
) -> list[dict[str, Any]]:
    """A buyer's days, newest first. Raises NotFound, Invalid."""
    buyer = await find(session, RESOURCES["buyers"], key)
    span = [col(BuyerUsageSnapshot.buyer_id) == buyer.id]
    if first:
        span.append(col(BuyerUsageSnapshot.snapshot_date) >= day_of("from", first))
    if last:
        span.append(col(BuyerUsageSnapshot.snapshot_date) <= day_of("to", last))
    newest = col(BuyerUsageSnapshot.snapshot_date).desc()
    query = select(BuyerUsageSnapshot).where(*span).order_by(newest).limit(MOST_DAYS)
    return [
        {
            "snapshot_date": row.snapshot_date.isoformat(),
            "calls_count": row.calls_count,
            "conversions_count": row.conversions_count,
            "revenue_cents": row.revenue_cents,
            "created_at": plain("created_at", row.created_at),
        }
        for row in (await session.exec(query)).all()
    ]


def day_of(name: str, text: str) -> date:
    """Raises Invalid naming the field."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(name, "must be a date YYYY-MM-DD") from None
