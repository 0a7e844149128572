"""What only traffic sources have: on and off at one stroke, and the numbers they may use."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import rows
from dcx_ari.services.call_counts import of_numbers
from dcx_ari.services.errors import Conflict
from dcx_ari.services.find import find, names_of
from dcx_ari.services.render import extra, render
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m

SOURCES, NUMBERS = RESOURCES["sources"], RESOURCES["numbers"]


async def toggle(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """Pause it, or resume it; the whole row as it is now. Raises NotFound."""
    row: Any = await find(session, SOURCES, key, lock=True)
    return await rows.set_paused(session, SOURCES, row.id, row.status == "ACTIVE")


async def numbers(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """The source's numbers, each with the calls that it brought for this source. Raises NotFound."""
    source: Any = await find(session, SOURCES, key)
    query = select(m.Number).where(col(m.Number.traffic_source_id) == source.id).order_by(col(m.Number.id))
    found = list((await session.exec(query)).all())
    names = await names_of(session, NUMBERS, found)
    usage = await of_numbers(session, source.id, [row.id for row in found if row.id is not None])
    listed = [{**render(NUMBERS, row, names), **extra(usage.get(row.id or 0, {}))} for row in found]
    return {"data": listed, "next_cursor": None, "total": len(listed), "number_limit": source.number_limit}


async def add_number(session: AsyncSession, key: str | int, number: str | int) -> dict[str, Any]:
    """Give the source a number that no other source has.

    Raises NotFound; Conflict when it is another's, or where the source has all the numbers it may have.
    """
    source: Any = await find(session, SOURCES, key)
    row: Any = await find(session, NUMBERS, number, lock=True)
    if row.traffic_source_id not in (None, source.id):
        raise Conflict("number", f"{row.phone_number} is another source's: take it off there first")
    return await rows.change(session, NUMBERS, row.id, {"traffic_source_id": source.id})


async def remove_number(session: AsyncSession, key: str | int, number: str | int) -> dict[str, Any]:
    """Take a number off the source; it stays with its campaign. Raises NotFound, Conflict."""
    source: Any = await find(session, SOURCES, key)
    row: Any = await find(session, NUMBERS, number, lock=True)
    if row.traffic_source_id != source.id:
        raise Conflict("number", f"{row.phone_number} is not a number of {source.name!r}")
    return await rows.change(session, NUMBERS, row.id, {"traffic_source_id": None})
