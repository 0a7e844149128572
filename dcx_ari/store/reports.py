"""Sums over the call log, by whatever calls are grouped by.

The money on a call's row is written by the ledger in the transaction of the entries, so a report adds up to the ledger,
calls that are up included. All columns are those of `ix_calls_log`: the rows of calls are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import case, func, literal_column
from sqlmodel import col
from sqlmodel import select as _select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.models.calls import Call

MAX_GROUPS = 20_000
_SUMMED = (col(Call.talk_ms), col(Call.revenue_cents), col(Call.payout_cents), col(Call.cost_cents))
select: Any = _select  # its overloads count columns, and ours are as many as asked for


class Sums(NamedTuple):
    """Figures of a group of calls: counts, time bridged in ms, money in cents."""

    calls: int = 0
    connected: int = 0
    converted: int = 0
    talk_ms: int = 0
    revenue_cents: int = 0
    payout_cents: int = 0
    cost_cents: int = 0

    def plus(self, other: Sums) -> Sums:
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))


Groups = dict[tuple[Any, ...], Sums]


class TooManyGroups(ValueError):
    """The calls fall into more than `MAX_GROUPS` groups."""


async def sums_by(session: AsyncSession, keys: Sequence[Any], conditions: Sequence[Any]) -> Groups:
    """Sums by the values of `keys` (SQL expressions; none: one group of all). Raises TooManyGroups."""
    figures = [
        func.count(),
        func.count(col(Call.connected_at)),
        func.sum(case((col(Call.converted), 1), else_=0)),
        *(func.sum(column) for column in _SUMMED),
    ]
    named, names = _named(keys)
    query: Any = select(*named, *figures).select_from(Call).where(*conditions)
    query = query.group_by(*names).limit(MAX_GROUPS + 1) if keys else query
    found: Groups = {}
    for row in (await session.exec(query)).all():
        values = Sums(*(int(value or 0) for value in row[len(keys) :]))
        if values.calls:
            found[tuple(row[: len(keys)])] = values
    if len(found) > MAX_GROUPS:
        raise TooManyGroups
    return found


async def counts_by(
    session: AsyncSession, keys: Sequence[Any], conditions: Sequence[Any]
) -> dict[tuple[Any, ...], int]:
    """How many calls in each group."""
    named, names = _named(keys)
    query: Any = select(*named, func.count()).select_from(Call).where(*conditions).group_by(*names)
    return {tuple(row[:-1]): int(row[-1]) for row in (await session.exec(query)).all()}


def _named(keys: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The keys under names to group by: PostgreSQL does not see that two expressions with parameters are the same."""
    return [key.label(f"k{i}") for i, key in enumerate(keys)], [literal_column(f"k{i}") for i in range(len(keys))]
