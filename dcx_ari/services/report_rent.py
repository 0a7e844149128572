"""The rent of numbers in a report: borne by their calls, each call of a number the same part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.date_ranges import DateRange
from dcx_ari.decide.periods import local
from dcx_ari.decide.prorata import rent_cents, split
from dcx_ari.store.models import Number
from dcx_ari.store.models.calls import Call
from dcx_ari.store.reports import counts_by

Key = tuple[Any, ...]
Rents = tuple[dict[Key, int], int]
"""Cents by group, and the rent of numbers that brought no call at all: only the total has it."""


async def rents_by(
    session: AsyncSession,
    keys: Sequence[Any],
    folding: Sequence[Callable[[Any], Any]],
    wanted: Sequence[Any],
    everything: Sequence[Any] | None,
    days: DateRange,
    zone: ZoneInfo,
) -> Rents:
    """`wanted`: the calls of the report; `everything`: all calls of its days, where those are not the same (a filter
    leaves its part of the rent to the calls that it takes out). A number costs from the day on which it was added.
    """
    number = col(Call.number_id)
    by_number: dict[int, dict[Key, int]] = {}
    for key, count in (await counts_by(session, [*keys, number], wanted)).items():
        folded = tuple(fold(value) for fold, value in zip(folding, key[:-1], strict=True))
        groups = by_number.setdefault(key[-1] or 0, {})
        groups[folded] = groups.get(folded, 0) + count
    counts = None if everything is None else await counts_by(session, [number], everything)
    rents: dict[Key, int] = {}
    unassigned = 0
    query = select(Number.id, Number.monthly_cost_cents, Number.created_at).where(col(Number.monthly_cost_cents) > 0)
    for number_id, monthly, created_at in (await session.exec(query.order_by(col(Number.id)))).all():
        cents = rent_cents(monthly, max(days.first, local(created_at, zone).date()), days.last)
        groups = by_number.get(number_id or 0, {})
        calls = sum(groups.values()) if counts is None else counts.get((number_id,), 0)
        if calls == 0 and counts is None:
            unassigned += cents
        ordered = sorted(groups, key=str)
        weights = [groups[group] for group in ordered]
        for group, share in zip(ordered, split(cents, [*weights, calls - sum(weights)]), strict=False):
            rents[group] = rents.get(group, 0) + share
    return rents, unassigned
