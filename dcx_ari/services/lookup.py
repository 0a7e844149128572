"""Who calls: what we know of a number, and what a look-up service says (A20). What is not known is null."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.call_view import view_of
from dcx_ari.services.errors import Invalid
from dcx_ari.services.render import plain
from dcx_ari.services.uncompleted import blocked_numbers
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.fields import e164
from dcx_ari.store.models.calls import Call

log = logging.getLogger(__name__)

ASK_S = 3.0
KEEP_MS = 30 * 86_400_000
"""A number changes its carrier seldom; after so long it is asked again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up service says; None where it does not say."""

    carrier: str | None = None
    is_mobile: bool | None = None
    name: str | None = None


class LookUp(Protocol):
    """A look-up service. Any exception is logged, and means that nothing is known."""

    async def __call__(self, phone: str) -> Found | None:
        """What it knows of an E.164 number."""
        ...


async def look_up(database: Database, phone: str, ask: LookUp | None, now: int) -> dict[str, Any]:
    """`{phone, name, call_history_count, last_call, carrier, is_mobile, is_blocked}`; `now` is epoch ms.

    The service is asked for `ASK_S` at most, and not again for `KEEP_MS`. Test calls do not count. Whoever is tied to
    a buyer or a source is told of that one's calls, and no more. Raises Invalid for what is no phone number.
    """
    text = phone.strip()
    try:
        number = e164(text if text.startswith("+") else f"+{text}")
    except ValueError as error:
        raise Invalid("phone", str(error)) from None
    async with database.read() as session:
        scoped = view_of(session).scoped
        known = await _known(session, number)
        kept = None if scoped else await session.get(m.CarrierLookup, number)
        said = Found(kept.carrier, kept.is_mobile, kept.name) if kept is not None and kept.expires_at > now else None
    if said is None and ask is not None and not scoped:
        said = await _asked(ask, number)
        if said is not None:
            await _keep(database, number, said, now)
    said = said or Found()
    return {
        "phone": number,
        "name": known["name"] or said.name,
        "call_history_count": known["count"],
        "last_call": plain("last_at", known["last"]),
        "carrier": said.carrier,
        "is_mobile": said.is_mobile,
        "is_blocked": known["blocked"],
    }


async def _known(session: AsyncSession, number: str) -> dict[str, Any]:
    view = view_of(session)
    mine = (col(Call.caller) == number, col(Call.test).is_(False), *view.conditions())
    count, last = (await session.exec(select(func.count(), func.max(Call.started_at)).where(*mine))).one()
    if view.scoped:
        return {"name": None, "count": count, "last": last, "blocked": None}
    return {
        "name": await _name(session, number),
        "count": count,
        "last": last,
        "blocked": number in await blocked_numbers(session, [number]),
    }


async def _name(session: AsyncSession, number: str) -> str | None:
    """The contact's, else the one that came with the latest call that had one."""
    contact = (await session.exec(select(m.Contact).where(col(m.Contact.phone_number) == number))).first()
    if contact is not None and (name := f"{contact.first_name} {contact.last_name}".strip() or contact.company):
        return name
    named = select(Call.caller_name).where(col(Call.caller) == number, col(Call.caller_name) != "")
    found = (await session.exec(named.order_by(col(Call.started_at).desc(), col(Call.id).desc()).limit(1))).first()
    return found if found and found.strip() != number else None


async def _asked(ask: LookUp, number: str) -> Found | None:
    try:
        async with asyncio.timeout(ASK_S):
            return await ask(number)
    except TimeoutError:
        log.warning("the look-up service did not answer in %g s", ASK_S)
    except Exception as error:  # the boundary to somebody else's code
        log.warning("the look-up failed: %s", type(error).__name__)  # its text may hold the number
    return None


async def _keep(database: Database, number: str, said: Found, now: int) -> None:
    async with database.write() as session:
        connection = await session.connection()
        insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
        values = {
            "carrier": said.carrier,
            "is_mobile": said.is_mobile,
            "name": said.name,
            "expires_at": now + KEEP_MS,
        }
        row = insert(m.CarrierLookup).values(phone_number=number, **values)
        await session.exec(row.on_conflict_do_update(index_elements=["phone_number"], set_=values))
