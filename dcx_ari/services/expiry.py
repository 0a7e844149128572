"""Whether entries of the suppression list still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms


async def of_suppressions(_session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
    """By entry: `active`, false once it has run out."""
    now = now_ms()
    return {row.id: {"active": row.expires_at is None or row.expires_at > now} for row in rows}
