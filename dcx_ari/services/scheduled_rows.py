"""What the table of kinds of rows asks of scheduled reports. They know that table themselves, so they are looked up
when they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.times import zone_of


async def check(session: AsyncSession, values: Mapping[str, Any], _row_id: int | None) -> None:
    from dcx_ari.services import scheduled_reports

    await scheduled_reports.check(session, values, zone_of(session))


async def more(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
    from dcx_ari.services import scheduled_reports

    return await scheduled_reports.shown(session, rows)
