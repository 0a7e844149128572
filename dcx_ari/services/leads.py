"""What outsiders may do with a campaign's keys: tell us of a caller to come, ask for a number.

They learn nothing that they did not say themselves: neither whether we know the person, nor what other sources
or campaigns there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import rows
from dcx_ari.services.errors import Conflict, NotFound
from dcx_ari.services.find import find_id
from dcx_ari.services.parse import parse_fields
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m
from dcx_ari.store.fields import E164, Email
from dcx_ari.store.models.contacts import ContactTags, Custom, PersonName

CONTACTS, NUMBERS, SOURCES = RESOURCES["contacts"], RESOURCES["numbers"], RESOURCES["sources"]
_TEXTS = ("first_name", "last_name", "email", "company")
_MOST = 50


class Lead(BaseModel):
    """A person who is about to call."""

    model_config = ConfigDict(extra="forbid", strict=True)

    phone_number: E164 = Field(description="The number the person calls from, E.164")
    first_name: PersonName = ""
    last_name: PersonName = ""
    email: Email = ""
    company: str = Field(default="", max_length=200)
    tags: ContactTags = Field(default_factory=list, description="Words to find the person by")
    custom: Custom = Field(default_factory=dict, description="Anything else you know, such as a ZIP code")


class WantedNumber(BaseModel):
    """Which source the number is for; `number` to ask for a certain one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    traffic_source: str | int = Field(description="Id of the traffic source that is to use the number")
    number: E164 | None = Field(default=None, description="A certain number, E.164; left out: any free one")


async def take_lead(session: AsyncSession, campaign: m.Campaign, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make the person a contact, or add to what we know: blanks are filled, tags added, nothing is overwritten.

    Raises Invalid; Conflict where another process took a lead of the same person at this moment: ask again.
    """
    lead = parse_fields(Lead, body, strict=True)
    row_id = await find_id(session, CONTACTS, lead["phone_number"])
    known = await session.get(m.Contact, row_id, with_for_update=True) if row_id is not None else None
    if known is None:
        values = {**lead, "added_by": f"leads of {campaign.name}"[:255]}
        await rows.create(session, CONTACTS, values, strict=True)
    elif fresh := _fresh(known, lead):
        await rows.change(session, CONTACTS, row_id or 0, fresh, strict=True)
    return {"accepted": True, "phone_number": lead["phone_number"], "campaign": campaign.name}


def _fresh(known: m.Contact, lead: Mapping[str, Any]) -> dict[str, Any]:
    """What the lead says that we did not know, as far as there is room."""
    fresh: dict[str, Any] = {name: lead[name] for name in _TEXTS if lead[name] and not getattr(known, name)}
    tags = [*known.tags, *(tag for tag in lead["tags"] if tag not in known.tags)][:_MOST]
    both = {**known.custom, **{name: value for name, value in lead["custom"].items() if name not in known.custom}}
    custom = dict(list(both.items())[:_MOST])
    if tags != known.tags:
        fresh["tags"] = tags
    if custom != known.custom:
        fresh["custom"] = custom
    return fresh


async def numbers_of(session: AsyncSession, campaign: m.Campaign) -> list[dict[str, Any]]:
    """The campaign's numbers that take calls, and which are free."""
    mine = (col(m.Number.campaign_id) == campaign.id, col(m.Number.status) == "ACTIVE")
    found = (await session.exec(select(m.Number).where(*mine).order_by(col(m.Number.id)))).all()
    return [_number(row) for row in found]


async def assign_number(session: AsyncSession, campaign: m.Campaign, body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a free number of the campaign to a source, as far as the source's limit allows.

    Raises Invalid, NotFound, Conflict (none is free; `number_limit_exceeded`).
    """
    wanted = parse_fields(WantedNumber, body, strict=True)
    row, number = await _source(session, wanted["traffic_source"]), wanted["number"]
    mine = (col(m.Number.campaign_id) == campaign.id, col(m.Number.status) == "ACTIVE")
    free = select(m.Number).where(*mine, col(m.Number.traffic_source_id).is_(None)).order_by(col(m.Number.id))
    if number is not None:
        free = free.where(col(m.Number.phone_number) == number)
    found = (await session.exec(free.limit(1).with_for_update(skip_locked=number is None))).first()
    if found is None or found.id is None:
        raise Conflict("number", "no number of this campaign is free" if number is None else f"{number} is not free")
    try:
        await rows.change(session, NUMBERS, found.id, {"traffic_source_id": row.id})
    except Conflict as error:
        raise Conflict("traffic_source", error.rule.partition(":")[0]) from None
    return _number(found)


async def _source(session: AsyncSession, given: str | int) -> m.TrafficSource:
    """By id or short id only, and without a hint at what else there is."""
    text = str(given).strip()
    row_id = await find_id(session, SOURCES, text) if text.isascii() and (text.isdigit() or _short(text)) else None
    row = await session.get(m.TrafficSource, row_id) if row_id is not None else None
    if row is None or row.status != "ACTIVE":
        raise NotFound("traffic_source", "there is no such traffic source, or it is paused")
    return row


def _short(text: str) -> bool:
    return text.upper().startswith("TS-") and len(text) <= 15


def _number(row: m.Number) -> dict[str, Any]:
    return {"phone_number": row.phone_number, "free": row.traffic_source_id is None}
