"""What the ledger's counters show, for pages that read in a session of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.models import CapCounter

_PART = 200


async def used_by(
    session: AsyncSession, scope: str, ids: Sequence[int], period_keys: Collection[str]
) -> dict[CounterKey, int]:
    """Committed plus held of these rows' counters in these periods; one that is not there is zero."""
    found: dict[CounterKey, int] = {}
    for start in range(0, len(ids), _PART):
        query = select(CapCounter).where(
            col(CapCounter.scope) == scope,
            col(CapCounter.scope_id).in_(ids[start : start + _PART]),
            col(CapCounter.period_key).in_(sorted(period_keys)),
        )
        for row in (await session.exec(query)).all():
            key = CounterKey(row.scope, row.scope_id, row.metric, row.period, row.period_key)
            found[key] = row.used + row.held
    return found
