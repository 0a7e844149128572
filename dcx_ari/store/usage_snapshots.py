"""What each buyer took in a span of time, counted from the calls; kept per UTC day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.ledger.models import MoneyEntry
from dcx_ari.store.models import Buyer, BuyerUsageSnapshot, Call

DAY_MS = 86_400_000
_PART = 200
_COUNTED = ("calls_count", "conversions_count", "revenue_cents", "created_at")


@dataclass(frozen=True, slots=True)
class Used:
    """Calls connected, those of them that were sold, and their revenue."""

    calls: int = 0
    conversions: int = 0
    revenue_cents: int = 0


async def usage(
    session: AsyncSession, since_ms: int | None, until_ms: int, buyer_ids: Sequence[int] = ()
) -> Mapping[int, Used]:
    """By buyer (all, when none is named), of calls that began in `[since_ms, until_ms)`; no test calls.

    As the call log has it: a call is the buyer's who was connected, and its revenue is the ledger's sum.
    """
    span = [col(Call.test).is_(False), col(Call.buyer_id).is_not(None), col(Call.started_at) < until_ms]
    if since_ms is not None:
        span.append(col(Call.started_at) >= since_ms)
    if buyer_ids:
        span.append(col(Call.buyer_id).in_(buyer_ids))
    sold = func.sum(case((col(Call.converted).is_(True), 1), else_=0))
    counts = select(Call.buyer_id, func.count(), sold, func.sum(Call.revenue_cents)).where(*span)
    found = (await session.exec(counts.group_by(col(Call.buyer_id)))).all()
    return {row[0]: Used(int(row[1]), int(row[2]), int(row[3])) for row in found if row[0] is not None}


def first_ms(day: date) -> int:
    """When a UTC day begins, epoch ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


async def write_day(session: AsyncSession, day: date, now: int) -> int:
    """Count a UTC day for every buyer there was, and write it over what was counted before; how many rows."""
    begin = first_ms(day)
    used = await usage(session, begin, begin + DAY_MS)
    there = select(Buyer.id).where(col(Buyer.created_at) < begin + DAY_MS)
    buyers = sorted({each for each in (await session.exec(there)).all() if each is not None} | used.keys())
    none = Used()
    rows = [
        {
            "buyer_id": buyer,
            "snapshot_date": day,
            "calls_count": used.get(buyer, none).calls,
            "conversions_count": used.get(buyer, none).conversions,
            "revenue_cents": used.get(buyer, none).revenue_cents,
            "created_at": now,
        }
        for buyer in buyers
    ]
    for start in range(0, len(rows), _PART):
        await _upsert(session, rows[start : start + _PART])
    return len(rows)


async def days_touched(session: AsyncSession, since_ms: int, before: date) -> list[date]:
    """UTC days before `before` of calls that money was booked for since then: their counts are out of date."""
    span = (col(MoneyEntry.at) >= since_ms, col(Call.started_at) < first_ms(before))
    day = func.distinct(col(Call.started_at) // DAY_MS)
    query = select(day).join(MoneyEntry, col(Call.id) == col(MoneyEntry.call_id))
    found = (await session.exec(query.where(*span))).all()
    return sorted({date(1970, 1, 1) + timedelta(days=int(each)) for each in found})


async def _upsert(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    connection = await session.connection()
    insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
    made = insert(BuyerUsageSnapshot).values(rows)
    fresh = {name: made.excluded[name] for name in _COUNTED}
    await connection.execute(made.on_conflict_do_update(index_elements=["buyer_id", "snapshot_date"], set_=fresh))
