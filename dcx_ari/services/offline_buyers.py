"""Tells when a buyer cannot be reached: by what became of the last attempts, which is what callers feel.

(An Asterisk that pings a carrier would know that the carrier lives, not that the buyer behind it can be called.)
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import case, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.causes import LegResult
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.store.db import Database
from dcx_ari.store.leases import claim
from dcx_ari.store.models import Call, Leg
from dcx_ari.store.outbox import tell

LOOK_MS = 30_000
SPAN_MS = 15 * 60_000
ATTEMPTS = 3
_AGAIN_MS = 3_600_000
_KEPT_MS = 86_400_000
_MISSED = (LegResult.UNREACHABLE.value, LegResult.CONGESTION.value)


async def run(database: Database, snapshot: Callable[[], Snapshot], now: int) -> int:
    """The job; see `jobs.Job`. A buyer that stays away is told of once an hour."""
    async with database.read() as session:
        away = await unreachable(session, now)
    buyers = snapshot().buyers
    for buyer_id, attempts in away.items():
        buyer = buyers.get(buyer_id)
        if buyer is None or buyer.status != "ACTIVE":
            continue
        async with database.write() as session:
            if await claim(session, f"offline/{buyer_id}/{now // _AGAIN_MS}", now, keep_until=now + _KEPT_MS):
                reason = f"the last {attempts} attempts in {SPAN_MS // 60_000} minutes came to nothing"
                data = {"buyer_id": buyer_id, "name": buyer.name, "reason": reason}
                await tell(session, "buyer.offline", data, at_ms=now)
    return now + LOOK_MS


async def unreachable(session: AsyncSession, now: int) -> dict[int, int]:
    """Buyers that `ATTEMPTS` calls or more were tried of lately, none of which even rang; with how many."""
    missed = func.sum(case((col(Leg.result).in_(_MISSED), 1), else_=0))
    query = (
        select(col(Leg.buyer_id), func.count())
        .join(Call, col(Call.id) == col(Leg.call_id))
        .where(col(Call.started_at) >= now - SPAN_MS, col(Leg.buyer_id).is_not(None))
        .where(col(Leg.result).is_not(None), col(Leg.result) != LegResult.CANCELLED.value)
        .group_by(col(Leg.buyer_id))
        .having(func.count() >= ATTEMPTS, missed == func.count())
        .order_by(col(Leg.buyer_id))
    )
    connection = await session.connection()
    return {buyer_id or 0: count for buyer_id, count in (await connection.execute(query)).all()}
