"""Rules that need more than one field, or other rows.

`Prepare` runs before the fields are parsed and may fill in what follows from others; `Check` runs inside the
transaction, on parsed values. Both raise Invalid or Conflict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.decide import rows as decided
from dcx_ari.decide.rowjson import parse
from dcx_ari.decide.schedules import compile_schedule
from dcx_ari.services.errors import Conflict, Invalid
from dcx_ari.store import models as m
from dcx_ari.store.fields import e164, sip_uri

Prepare = Callable[[dict[str, Any], frozenset[str]], None]
"""(all values, the names that were given in this request) -> None; changes the values in place."""
Check = Callable[[AsyncSession, Mapping[str, Any], int | None], Awaitable[None]]
"""(session, parsed values, row id or None for a new row)"""
Told = Callable[[AsyncSession, Any, Mapping[str, Any], str | None], Awaitable[None]]
"""(session, row, the fields that changed, why)"""
Wrote = Callable[[AsyncSession, Any, Collection[str]], Awaitable[None]]
"""(session, row, the names that were given in this request)"""
More = Callable[[AsyncSession, Sequence[Any]], Awaitable[Mapping[int, Mapping[str, Any]]]]
"""(session, rows of one kind) -> by row id, values to show that are no columns of the row: JSON values, all rows with
the same names; of those that end in `_at` epoch ms."""


def nothing_to_prepare(_values: dict[str, Any], _given: frozenset[str]) -> None: ...


async def nothing_to_check(_session: AsyncSession, _values: Mapping[str, Any], _row_id: int | None) -> None: ...


def prepare_trunk(values: dict[str, Any], _given: frozenset[str]) -> None:
    if values.get("password") and not values.get("username"):
        raise Invalid("username", "is required with a password")


async def check_trunk(session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    """A new default takes the place of the old one."""
    if not values["is_default"]:
        return
    trunk = m.Trunk
    where = (col(trunk.is_default).is_(True), col(trunk.id) != (row_id or 0))
    change = {"is_default": False, "version": trunk.version + 1, "updated_at": now_ms()}
    await session.exec(update(trunk).where(*where).values(change))


def prepare_buyer(values: dict[str, Any], given: frozenset[str]) -> None:
    """The kind of endpoint follows from its value unless it is named; the value is spelled one way."""
    value = values.get("endpoint_value")
    if not isinstance(value, str):
        return
    if "endpoint_value" in given and "endpoint_type" not in given:
        if value.strip().lower().startswith(("sip:", "sips:")):
            values["endpoint_type"] = "SIP"
        elif value.strip().startswith("+"):
            values["endpoint_type"] = "PHONE_NUMBER"
        elif values.get("endpoint_type") in (None, "PHONE_NUMBER", "SIP"):
            raise Invalid("endpoint_value", "must be an E.164 number such as +15551234567 or a sip: URI")
    spell = {"SIP": sip_uri, "PHONE_NUMBER": e164}.get(str(values.get("endpoint_type", "PHONE_NUMBER")))
    try:
        values["endpoint_value"] = spell(value) if spell is not None else value.strip()
    except ValueError as error:
        raise Invalid("endpoint_value", str(error)) from None
    if not values["endpoint_value"]:
        raise Invalid("endpoint_value", "must not be blank")


async def check_buyer(session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    value = values["endpoint_value"]
    if values["endpoint_type"] in ("PHONE_NUMBER", "SIP") and (ours := await _our_number(session, value)):
        raise Invalid("endpoint_value", f"must not lead back to our own number {ours} (loop)")
    if values["endpoint_type"] != "GROUP":
        return
    group = (await session.exec(select(m.BuyerGroup).where(col(m.BuyerGroup.name) == value))).first()
    if group is None:
        raise Invalid("endpoint_value", f"must be the name of a group: there is no group {value!r}")
    member = select(m.BuyerGroupMember.id).where(col(m.BuyerGroupMember.buyer_id) == (row_id or 0))
    if (await session.exec(member)).first() is not None:
        raise Invalid("endpoint_value", "must not be a group: the buyer is a member of one, and groups do not nest")


async def _our_number(session: AsyncSession, endpoint: str) -> str | None:
    """The number of ours that a phone number endpoint is."""
    number = m.Number.phone_number
    return (await session.exec(select(number).where(col(number) == endpoint))).first()


async def check_member(session: AsyncSession, values: Mapping[str, Any], _row_id: int | None) -> None:
    buyer = await session.get(m.Buyer, values["buyer_id"])
    if buyer is None or buyer.endpoint_type != "GROUP":
        return
    group = await session.get(m.BuyerGroup, values["group_id"])
    itself = group is not None and group.name == buyer.endpoint_value
    why = "the group would contain itself" if itself else "groups do not nest"
    raise Invalid("buyer", f"must not be a group: {why}")


async def check_attachment(session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    """Weight 0 means never unless alone: a tier in which all have 0 would take no calls."""
    tier, weight = await _place(session, values)
    campaign = await session.get(m.Campaign, values["campaign_id"])
    if weight != 0 or campaign is None or campaign.strategy != "tier":
        return
    link = m.CampaignBuyer
    others = select(link).where(
        col(link.campaign_id) == campaign.id, col(link.id) != (row_id or 0), col(link.status) == "ACTIVE"
    )
    places = [await _place(session, other.model_dump()) for other in (await session.exec(others)).all()]
    weights = [other_weight for other_tier, other_weight in places if other_tier == tier]
    if weights and not any(weights):
        raise Invalid("weight", f"must not be 0: all weights of tier {tier} would be 0")


async def _place(session: AsyncSession, link: Mapping[str, Any]) -> tuple[int, int]:
    """Tier and weight that count: the attachment's, else the buyer's or the group's own."""
    owner: m.Buyer | m.BuyerGroup | None = (
        await session.get(m.Buyer, link["buyer_id"])
        if link["buyer_id"] is not None
        else await session.get(m.BuyerGroup, link["group_id"])
    )
    tier, weight = (owner.tier, owner.weight) if owner is not None else (0, 100)
    return (tier if link["tier"] is None else link["tier"], weight if link["weight"] is None else link["weight"])


async def check_group(session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    """A group that buyers point at by name keeps its name."""
    if row_id is None:
        return
    old = await session.get(m.BuyerGroup, row_id)
    if old is None or old.name == values["name"]:
        return
    users = select(m.Buyer.name).where(col(m.Buyer.endpoint_type) == "GROUP", col(m.Buyer.endpoint_value) == old.name)
    if (buyer := (await session.exec(users)).first()) is not None:
        raise Conflict("name", f"cannot change: buyer {buyer!r} points at the group by its name")


async def check_number(session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    number, forward = values["phone_number"], values["forward_to"]
    if forward is not None and (forward == number or await _our_number(session, forward)):
        raise Invalid("forward_to", "must not lead back to one of our own numbers (loop)")
    taken = select(m.Buyer.name).where(col(m.Buyer.endpoint_value) == number)
    if (buyer := (await session.exec(taken)).first()) is not None:
        raise Invalid("phone_number", f"must not be the endpoint of a buyer (loop): {buyer!r}")
    await _check_number_limit(session, values["traffic_source_id"], row_id)
    await check_greeting(session, values["voicemail_greeting"])


async def check_greeting(session: AsyncSession, name: str | None) -> None:
    """Raises Invalid where no prompt has that name."""
    if name is not None and (await session.exec(select(m.Prompt.id).where(col(m.Prompt.name) == name))).first() is None:
        raise Invalid("voicemail_greeting", f"there is no prompt {name!r}: dcx prompts list")


async def _check_number_limit(session: AsyncSession, source_id: int | None, row_id: int | None) -> None:
    if source_id is None:
        return
    old = await session.get(m.Number, row_id) if row_id is not None else None
    if old is not None and old.traffic_source_id == source_id:
        return  # it stays where it is, even if the limit was lowered below what is there
    # Locked, so that of two who assign at once the second sees what the first did.
    source = await session.get(m.TrafficSource, source_id, with_for_update=True, populate_existing=True)
    if source is None or source.number_limit is None:
        return
    others = select(func.count()).where(col(m.Number.traffic_source_id) == source_id, col(m.Number.id) != (row_id or 0))
    if (await session.exec(others)).one() >= source.number_limit:
        raise Conflict("traffic_source_id", f"number_limit_exceeded: {source.name!r} may have {source.number_limit}")


def prepare_suppression(values: dict[str, Any], given: frozenset[str]) -> None:
    """A buyer's own list is `buyer_suppression`; the other lists are for everybody."""
    if values.get("buyer_id") is not None and "list_type" not in given:
        values["list_type"] = "buyer_suppression"
    if (values.get("list_type") == "buyer_suppression") != (values.get("buyer_id") is not None):
        raise Invalid("buyer_id", "goes with list_type buyer_suppression, and only there")


def prepare_attachment(values: dict[str, Any], _given: frozenset[str]) -> None:
    if (values.get("buyer_id") is None) == (values.get("group_id") is None):
        raise Invalid("buyer", "give either a buyer or a group")


async def check_schedule(_session: AsyncSession, values: Mapping[str, Any], row_id: int | None) -> None:
    """What the engine would say about it when it reads it."""
    row = {**m.ScheduleFields(**values).model_dump(mode="json", exclude_none=True), "id": row_id or 0}
    try:
        compile_schedule(parse(decided.Schedule, row))
    except ValueError as error:
        name, _, rule = str(error).partition(": ")
        known = name in m.ScheduleFields.model_fields
        raise Invalid(name if known else "weekly", rule if known else str(error)) from None
