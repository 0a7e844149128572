"""How a buyer's calls turn into sales: today, this month, the last 30 days, ever; and what its caps leave."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.periods import Period, first_instant, local, period_keys, zone_of
from dcx_ari.services.find import find
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.usage_snapshots import DAY_MS, Used, usage

_CAPS: tuple[tuple[str, Period, str], ...] = (
    ("daily", "day", "converted_daily_limit"),
    ("monthly", "month", "converted_monthly_limit"),
    ("total", "total", "converted_total_limit"),
)


async def conversion_stats(session: AsyncSession, key: str | int, company_zone: str, now: int) -> dict[str, Any]:
    """Days and months are those of the buyer's zone (else the company's); calls are as in the call log.

    Per span: `calls` (connected), `conversions`, `conversion_rate` (0 to 1, null without calls), `revenue_cents`. Per
    cap: used, held by live calls, limit (null: none), remaining. Raises NotFound.
    """
    buyer: Any = await find(session, RESOURCES["buyers"], key)
    zone_name = buyer.timezone or company_zone
    zone = zone_of(zone_name)
    today = local(now, zone).date()
    begins = {
        "today": first_instant(today, zone),
        "month": first_instant(today.replace(day=1), zone),
        "last_30_days": now - 30 * DAY_MS,
        "total": None,
    }
    spans = {}
    for name, begin in begins.items():
        spans[name] = _span((await usage(session, begin, now + 1, [buyer.id])).get(buyer.id, Used()))
    keys = period_keys(now, zone)
    counted = select(CapCounter).where(
        col(CapCounter.scope) == "buyer",
        col(CapCounter.scope_id) == buyer.id,
        col(CapCounter.metric) == "convert",
        col(CapCounter.period_key).in_([keys[period] for _, period, _ in _CAPS]),
    )
    counters = {row.period: row for row in (await session.exec(counted)).all()}
    return {
        "buyer_id": buyer.id,
        "buyer": buyer.name,
        "timezone": zone_name,
        **spans,
        "caps": {name: _cap(counters.get(period), getattr(buyer, limit)) for name, period, limit in _CAPS},
    }


def _span(used: Used) -> dict[str, Any]:
    rate = round(used.conversions / used.calls, 4) if used.calls else None
    return {
        "calls": used.calls,
        "conversions": used.conversions,
        "conversion_rate": rate,
        "revenue_cents": used.revenue_cents,
    }


def _cap(counter: CapCounter | None, limit: int | None) -> dict[str, Any]:
    used, held = (counter.used, counter.held) if counter is not None else (0, 0)
    remaining = None if limit is None else max(0, limit - used - held)
    return {"used": used, "held": held, "limit": limit, "remaining": remaining}
