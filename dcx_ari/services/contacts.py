"""Contacts and the calls that came from their numbers: joined by number when asked, so nothing can come apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.calls import CallPage, list_calls
from dcx_ari.services.find import find
from dcx_ari.services.listing import Query
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.views import with_view
from dcx_ari.store.models import Contact

CONTACTS = RESOURCES["contacts"]
_PART = 500


async def calls_of(session: AsyncSession, key: str | int, query: Query, *, count: bool = True) -> CallPage:
    """The call log's page of the contact's calls. Raises NotFound, and as the call log does."""
    contact: Any = await find(session, CONTACTS, key)
    asked = await with_view(session, "calls", query)
    return await list_calls(
        session, replace(asked, filters={**asked.filters, "caller": [contact.phone_number]}), count=count
    )


async def by_number(session: AsyncSession, numbers: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """Who is behind these numbers (E.164): `id`, `name` (may be "") and `company`, as far as known."""
    wanted = sorted(set(numbers))
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _PART):
        query = select(Contact).where(col(Contact.phone_number).in_(wanted[start : start + _PART]))
        for row in (await session.exec(query)).all():
            name = f"{row.first_name} {row.last_name}".strip()
            found[row.phone_number] = {"id": row.id, "name": name, "company": row.company}
    return found
