"""How many calls are with buyers now, beside how many there may be."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.caps import CounterKey
from dcx_ari.services.call_view import View
from dcx_ari.store.counters import used_by
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.models import Buyer


def live_key(buyer_id: int) -> CounterKey:
    """The counter of a buyer's calls that ring or talk now."""
    return CounterKey("buyer", buyer_id, "attempt", "concurrent", "now")


async def concurrency(session: AsyncSession, view: View) -> dict[str, Any]:
    """`used` from the ledger's holds; `limit` is the sum over active buyers, null (unlimited) if one has none.

    Ruling Z10 of the research: a sum with an unlimited buyer in it is unlimited. A traffic source sees neither.
    """
    if view.source_id is not None:
        return {"used": None, "limit": None}
    buyers = select(Buyer.concurrency_limit).where(col(Buyer.status) == "ACTIVE")
    if view.buyer_id is not None:
        used = (await used_by(session, "buyer", [view.buyer_id], {"now"})).get(live_key(view.buyer_id), 0)
        buyers = buyers.where(col(Buyer.id) == view.buyer_id)
    else:
        held = func.sum(col(CapCounter.used) + col(CapCounter.held))
        ids = select(Buyer.id)
        query = select(held).where(
            col(CapCounter.scope) == "buyer",
            col(CapCounter.scope_id).in_(ids),
            col(CapCounter.period_key) == "now",
            col(CapCounter.metric) == "attempt",
            col(CapCounter.period) == "concurrent",
        )
        used = int((await session.exec(query)).one() or 0)
    limits = list((await session.exec(buyers)).all())
    unlimited = any(limit is None for limit in limits)
    return {"used": used, "limit": None if unlimited else sum(limit or 0 for limit in limits)}
