"""Filters that are no columns of the rows: what is attached to a campaign, what its calls brought in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import exists, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid
from dcx_ari.store import models as m

_MOST = 10**12


@dataclass(frozen=True, slots=True)
class Rule:
    """`make` turns the filter's name and its values into a condition; it raises Invalid. `kind` is their JSON type."""

    help: str
    kind: str
    make: Callable[[AsyncSession, str, Sequence[str]], Awaitable[Any]]


def _yes(key: str, text: str) -> bool:
    try:
        return TypeAdapter(bool).validate_python(text.strip())
    except ValidationError:
        raise Invalid(key, "must be true or false") from None


async def _has_active_buyers(_session: AsyncSession, key: str, values: Sequence[str]) -> Any:
    """Attached and not paused: a buyer who is not paused, or a group with such a member."""
    link, member = m.CampaignBuyer, m.BuyerGroupMember
    buyer = select(m.Buyer.id).where(col(m.Buyer.id) == link.buyer_id, col(m.Buyer.status) == "ACTIVE")
    group = (
        select(m.BuyerGroup.id)
        .join(member, col(member.group_id) == col(m.BuyerGroup.id))
        .join(m.Buyer, col(m.Buyer.id) == col(member.buyer_id))
        .where(
            col(m.BuyerGroup.id) == link.group_id,
            col(m.BuyerGroup.status) == "ACTIVE",
            col(m.Buyer.status) == "ACTIVE",
        )
    )
    found = exists().where(
        col(link.campaign_id) == m.Campaign.id,
        col(link.status) == "ACTIVE",
        or_(buyer.correlate(link).exists(), group.correlate(link).exists()),
    )
    return found if _yes(key, values[-1]) else ~found


async def _revenue(session: AsyncSession, key: str, values: Sequence[str]) -> Any:
    """What all of the campaign's calls brought, cents; test calls are left out, and no calls are 0 cents.

    The calls are read once here, and not by each query that the condition becomes a part of.
    """
    bound, least = _cents(key, values[-1]), key == "revenue_min"
    call: Any = m.Call
    campaign = call.campaign_id + 0  # not by the index on campaigns: that would read every call's row
    totals = select(campaign, func.sum(call.revenue_cents)).group_by(campaign)
    found = (await session.exec(totals.where(call.campaign_id.is_not(None), call.test.is_(False)))).all()

    def fits(cents: int) -> bool:
        return cents >= bound if least else cents <= bound

    if fits(0):
        return col(m.Campaign.id).not_in([row[0] for row in found if not fits(row[1])])
    return col(m.Campaign.id).in_([row[0] for row in found if fits(row[1])])


def _cents(key: str, text: str) -> int:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not -_MOST <= amount <= _MOST or amount != round(amount, 2):
        raise Invalid(key, "must be an amount of money such as 25.50")
    return int(amount * 100)


OF_CAMPAIGNS: Mapping[str, Rule] = {
    "has_active_buyers": Rule("Whether a buyer is attached who is not paused.", "boolean", _has_active_buyers),
    "revenue_min": Rule("Its calls brought at least so much, such as 25.50.", "number", _revenue),
    "revenue_max": Rule("Its calls brought at most so much.", "number", _revenue),
}
