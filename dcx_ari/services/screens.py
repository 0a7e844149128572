"""Which rows of a batch need a look of their own, found with a query or two for all of them.

The rules that need other rows (`Resource.check`) ask the database row by row. A screen names the rows of a batch
for which the rule could say no; the rule itself then decides about those. Rows that a screen lets pass are written
together. A kind of row that has rules and no screen is written row by row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import checks
from dcx_ari.services.resources import Resource
from dcx_ari.store import models as m

Screen = Callable[[AsyncSession, Sequence[Mapping[str, Any]]], Awaitable[set[int]]]
"""(session, parsed values of the batch) -> the places of the rows to look at one by one."""


def screen_of(resource: Resource) -> Screen:
    return _SCREENS.get(resource.check, _none if resource.check is checks.nothing_to_check else _all)


async def _none(_session: AsyncSession, _batch: Sequence[Mapping[str, Any]]) -> set[int]:
    return set()


async def _all(_session: AsyncSession, batch: Sequence[Mapping[str, Any]]) -> set[int]:
    return set(range(len(batch)))


async def _buyers(session: AsyncSession, batch: Sequence[Mapping[str, Any]]) -> set[int]:
    """Those that lead to a number of ours, and those that are groups."""
    ends = {values["endpoint_value"] for values in batch}
    number = col(m.Number.phone_number)
    ours = set((await session.exec(select(number).where(number.in_(ends)))).all())
    return {
        place
        for place, values in enumerate(batch)
        if values["endpoint_value"] in ours or values["endpoint_type"] not in ("PHONE_NUMBER", "SIP")
    }


async def _numbers(session: AsyncSession, batch: Sequence[Mapping[str, Any]]) -> set[int]:
    """Those that forward, those that a buyer answers, and those of sources that may have so many only."""
    numbers = {values["phone_number"] for values in batch}
    end = col(m.Buyer.endpoint_value)
    taken = set((await session.exec(select(end).where(end.in_(numbers)))).all())
    sources = {values["traffic_source_id"] for values in batch} - {None}
    source = m.TrafficSource
    limited = select(source.id).where(col(source.id).in_(sources), col(source.number_limit).is_not(None))
    full = set((await session.exec(limited)).all())
    return {
        place
        for place, values in enumerate(batch)
        if values["forward_to"] is not None or values["phone_number"] in taken or values["traffic_source_id"] in full
    }


async def _trunks(_session: AsyncSession, batch: Sequence[Mapping[str, Any]]) -> set[int]:
    """A new default takes the place of the old one."""
    return {place for place, values in enumerate(batch) if values["is_default"]}


_SCREENS: Mapping[checks.Check, Screen] = {
    checks.check_buyer: _buyers,
    checks.check_number: _numbers,
    checks.check_trunk: _trunks,
    checks.check_group: _none,  # speaks of a new name for an old row, and a file names rows by their names
}
