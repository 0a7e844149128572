"""Lists of voicemails: filters, pages, and how one is shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import false, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find
from dcx_ari.services.listing import MAX_LIMIT, Page, Query, decode_cursor, encode_cursor
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.scope import scope_of
from dcx_ari.services.times import zone_of
from dcx_ari.store.models.voicemails import Voicemail, shown_columns

FILTERS = {
    "state": "new, heard or done.",
    "priority": "low, normal, high or urgent.",
    "assigned_to": "Who looks after it; none: nobody yet.",
    "caller": "Who left it.",
    "call": "The call it came of.",
    "number": "The number that was dialled, by number or id.",
    "campaign": "Campaign, by name or id.",
    "from": "Left from this day or time on.",
    "to": "Left up to this day, it included, or up to this time.",
}
THERE = (col(Voicemail.audio) != "recording", col(Voicemail.deleting_at).is_(None))
"""What people find: neither what is still being recorded nor what is being deleted."""
_COLUMNS = shown_columns()
_EXACT = {"state": Voicemail.state, "priority": Voicemail.priority, "call": Voicemail.call_id}


def shown(row: Voicemail) -> dict[str, Any]:
    """As JSON values; `playable` says whether there is audio."""
    values = {name: plain(name, getattr(row, name)) for name in _COLUMNS}
    return {**values, "playable": row.audio == "ready"}


async def list_voicemails(session: AsyncSession, query: Query) -> Page:
    """Newest first; `q` looks into what was said, notes and callers. Raises UnknownKey, Invalid, NotFound."""
    scope = scope_of(session)
    conditions = [await _condition(session, name, list(values)) for name, values in query.filters.items()]
    conditions += THERE
    if not scope.everything:
        conditions.append(false())  # what callers leave is for the company's own people
    if query.search:
        check_text("q", query.search)
        texts = (Voicemail.transcription, Voicemail.notes, Voicemail.caller)
        conditions.append(or_(*(col(text).icontains(query.search, autoescape=True) for text in texts)))
    total = (await session.exec(select(func.count()).select_from(Voicemail).where(*conditions))).one()
    made, row_id = col(Voicemail.created_at), col(Voicemail.id)
    if query.cursor is not None:
        at, last = decode_cursor(query.cursor)
        if type(at) is not int or not isinstance(last, str):
            raise Invalid("cursor", "does not belong to this list")
        conditions.append(or_(made < at, (made == at) & (row_id < last)))
    limit = query.limit or 100
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    found = select(Voicemail).where(*conditions).order_by(made.desc(), row_id.desc()).limit(limit + 1)
    rows = list((await session.exec(found)).all())
    cursor = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return Page([shown(row) for row in rows[:limit]], cursor, total)


async def _condition(session: AsyncSession, name: str, values: list[str]) -> Any:
    check_text(name, values)
    if name in _EXACT:
        return col(_EXACT[name]).in_([value.strip() for value in values])
    if name == "assigned_to":
        nobody = [col(Voicemail.assigned_to).is_(None)] if "none" in values else []
        return or_(col(Voicemail.assigned_to).in_(values), *nobody)
    if name == "caller":
        return col(Voicemail.caller).in_([f"+{value.strip().removeprefix('+')}" for value in values])
    if name in ("number", "campaign"):
        column = Voicemail.number_id if name == "number" else Voicemail.campaign_id
        return col(column).in_([(await find(session, RESOURCES[f"{name}s"], each)).id for each in values])
    if name == "from":
        return col(Voicemail.created_at) >= instant_of(name, values[-1], zone_of(session))
    if name == "to":
        return col(Voicemail.created_at) < instant_of(name, values[-1], zone_of(session), end=True)
    raise UnknownKey(name, f"is not a filter of voicemails{suggest(name, FILTERS)}")
