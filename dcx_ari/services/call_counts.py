"""How many calls sources and numbers brought, worked out from the calls: nothing to drift, nothing to recount.

One grouped query for a page of rows; test calls are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.store.models.calls import Call

RECENT_MS = 30 * 86_400_000
NO_CALLS: Mapping[str, Any] = {"last_call_at": None, "call_count": 0, "recent_call_count": 0}


async def of_sources(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
    """By source: `last_call_at`, `call_count` (ever), `recent_call_count` (the last 30 times 24 hours)."""
    ids = [row.id for row in rows]
    return await _counts(session, Call.traffic_source_id, ids, col(Call.traffic_source_id).in_(ids))


async def of_numbers(session: AsyncSession, source_id: int, ids: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
    """By number: the same, of the calls that came for one source."""
    return await _counts(session, Call.number_id, ids, col(Call.traffic_source_id) == source_id)


async def _counts(session: AsyncSession, by: Any, ids: Sequence[int], where: Any) -> Mapping[int, Mapping[str, Any]]:
    if not ids:
        return {}
    recent = case((col(Call.started_at) >= now_ms() - RECENT_MS, 1), else_=0)
    counts = select(by, func.count(), func.sum(recent), func.max(Call.started_at))
    query = counts.where(where, col(Call.test).is_(False)).group_by(by)
    found: dict[int, Mapping[str, Any]] = dict.fromkeys(ids, NO_CALLS)
    for row_id, calls, lately, last in (await session.exec(query)).all():
        if row_id in found:
            found[row_id] = {"last_call_at": last, "call_count": calls, "recent_call_count": lately}
    return found
