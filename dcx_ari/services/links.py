"""Buyers and groups attached to campaigns, buyers in groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import rows
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.find import find, resolve_refs
from dcx_ari.services.listing import shown_rows
from dcx_ari.services.render import fetched, reader
from dcx_ari.services.resources import RESOURCES, Resource

LINKS: Mapping[str, tuple[str, str]] = {
    "campaigns": ("campaign-buyers", "campaign_id"),
    "groups": ("group-members", "group_id"),
}
"""Resource that has links -> (the links' resource, the column that names the owner)."""


async def links(session: AsyncSession, owner: str, key: str | int) -> list[dict[str, Any]]:
    """What is attached to a campaign, or who is in a group. Raises NotFound."""
    link, column = _link(owner)
    row = await find(session, RESOURCES[owner], key)
    model: Any = link.model
    statement = reader(link).statement.where(getattr(model, column) == row.id).order_by(model.id)
    return await shown_rows(session, link, await fetched(session, statement))


async def attach(
    session: AsyncSession, owner: str, key: str | int, data: Mapping[str, Any], *, strict: bool = False
) -> dict[str, Any]:
    """Attach, or change what is attached already. Raises NotFound, Invalid."""
    link, column = _link(owner)
    row = await find(session, RESOURCES[owner], key)
    given = await resolve_refs(session, link, data)
    if column in given:
        raise Invalid(column, "follows from the path and cannot be given")
    existing = await _existing(session, link, {**_member(given), column: row.id})
    if existing is not None:
        return await rows.change(session, link, existing, given, strict=strict)
    return await rows.create(session, link, {**given, column: row.id}, strict=strict)


async def detach(session: AsyncSession, owner: str, key: str | int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what is named by buyer or group. Raises NotFound, Invalid."""
    link, column = _link(owner)
    row = await find(session, RESOURCES[owner], key)
    given = await resolve_refs(session, link, data)
    member = _member({name: value for name, value in given.items() if name != column})
    existing = await _existing(session, link, {**member, column: row.id})
    if existing is None:
        what = ", ".join(f"{name} {value}" for name, value in data.items())
        raise NotFound(link.singular, f"{what} is not attached to {RESOURCES[owner].singular} {key!r}")
    return await rows.remove(session, link, existing)


def _link(owner: str) -> tuple[Resource, str]:
    link_name, column = LINKS[owner]
    return RESOURCES[link_name], column


def _member(given: Mapping[str, Any]) -> dict[str, int]:
    member = {name: given[name] for name in ("buyer_id", "group_id") if given.get(name) is not None}
    if len(member) != 1:
        raise Invalid("buyer", "is required" if not member else "give either a buyer or a group")
    return member


async def _existing(session: AsyncSession, link: Resource, where: Mapping[str, Any]) -> int | None:
    model: Any = link.model
    query = select(model.id).where(*(getattr(model, name) == value for name, value in where.items()))
    found: int | None = (await session.exec(query)).first()
    return found
