"""Lists of callbacks: filters, pages, and how one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.call_conditions import yes_no
from dcx_ari.services.calls import find_call
from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find, keys_of
from dcx_ari.services.listing import MAX_LIMIT, Page, Query, decode_cursor, encode_cursor
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.times import zone_of
from dcx_ari.store.models.callbacks import Callback, CallbackStatus, Priority

FILTERS = {
    "status": "pending, in-progress, completed or cancelled.",
    "overdue": "true: pending, and its time has come.",
    "priority": "low, normal, high or urgent.",
    "assigned_to": "Who is to call; none: nobody yet.",
    "phone_number": "Who is to be called.",
    "call": "The call it came of.",
    "campaign": "Campaign, by name or id.",
    "due_from": "Due from this day or time on.",
    "due_to": "Due up to this day, it included, or up to this time.",
}
_COLUMNS = (
    *("id", "phone_number", "due_at", "priority", "status", "assigned_to", "notes", "call_id", "campaign_id", "retry"),
    *("created_by", "created_at", "updated_at", "version", "completed_at", "outcome", "reminded_at"),
)


async def list_callbacks(session: AsyncSession, query: Query, now: int) -> Page:
    """What is due first comes first. Raises UnknownKey, Invalid."""
    conditions = [await _condition(session, name, list(values), now) for name, values in query.filters.items()]
    total = (await session.exec(select(func.count()).select_from(Callback).where(*conditions))).one()
    if query.cursor is not None:
        due, row_id = decode_cursor(query.cursor)
        if type(due) is not int or type(row_id) is not int:
            raise Invalid("cursor", "does not belong to this list")
        conditions.append(or_(col(Callback.due_at) > due, and_(col(Callback.due_at) == due, col(Callback.id) > row_id)))
    limit = query.limit or MAX_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    found = select(Callback).where(*conditions).order_by(col(Callback.due_at), col(Callback.id)).limit(limit + 1)
    rows = list((await session.exec(found)).all())
    cursor = encode_cursor(rows[limit - 1].due_at, rows[limit - 1].id or 0) if len(rows) > limit else None
    return Page(await shown(session, rows[:limit], now), cursor, total)


async def shown(session: AsyncSession, rows: Sequence[Callback], now: int) -> list[dict[str, Any]]:
    """As JSON values; `now` (epoch ms) says what is overdue."""
    campaigns = await keys_of(
        session, RESOURCES["campaigns"], {row.campaign_id for row in rows if row.campaign_id is not None}
    )
    found = []
    for row in rows:
        values = {name: plain(name, getattr(row, name)) for name in _COLUMNS}
        values["campaign"] = campaigns.get(row.campaign_id or 0)
        values["overdue"] = row.status == "pending" and row.due_at < now
        found.append(values)
    return found


async def _condition(session: AsyncSession, name: str, values: list[str], now: int) -> Any:
    check_text(name, values)
    if name == "status":
        return col(Callback.status).in_([_known(name, value, CallbackStatus) for value in values])
    if name == "priority":
        return col(Callback.priority).in_([_known(name, value, Priority) for value in values])
    if name == "overdue":
        late = and_(col(Callback.status) == "pending", col(Callback.due_at) < now)
        return late if yes_no(name, values) else ~late
    if name == "assigned_to":
        nobody = [col(Callback.assigned_to).is_(None)] if "none" in values else []
        return or_(col(Callback.assigned_to).in_(values), *nobody)
    if name == "phone_number":
        return col(Callback.phone_number).in_([f"+{value.strip().removeprefix('+')}" for value in values])
    if name in ("call", "call_id"):
        return col(Callback.call_id).in_([(await find_call(session, value)).id for value in values])
    if name in ("campaign", "campaign_id"):
        return col(Callback.campaign_id).in_(
            [(await find(session, RESOURCES["campaigns"], each)).id for each in values]
        )
    if name == "due_from":
        return col(Callback.due_at) >= instant_of(name, values[-1], zone_of(session))
    if name == "due_to":
        return col(Callback.due_at) < instant_of(name, values[-1], zone_of(session), end=True)
    raise UnknownKey(name, f"is not a filter of callbacks{suggest(name, FILTERS)}")


def _known(name: str, value: str, literal: Any) -> str:
    text = value.strip().lower().replace("_", "-")
    if text not in get_args(literal):
        raise Invalid(name, f"{value!r} is not one of {', '.join(get_args(literal))}")
    return text
