"""Calls that somebody has to make: asked for, assigned, reminded of, done.

A callback is overdue while it is pending and its time has come. Half an hour before that a reminder is told, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.callback_list import shown
from dcx_ari.services.calls import find_call
from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.find import find
from dcx_ari.services.parse import check_text, parse_fields, suggest
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.times import zone_of
from dcx_ari.store import models as m
from dcx_ari.store.models.callbacks import OPEN, Callback, CallbackFields, CallbackStatus

_WRITABLE = ("due_at", "priority", "assigned_to", "notes")


async def show_callback(session: AsyncSession, key: str | int, now: int) -> dict[str, Any]:
    """Raises NotFound."""
    return (await shown(session, [await _find(session, key)], now))[0]


async def add_callback(
    session: AsyncSession, data: Mapping[str, Any], now: int, *, strict: bool = False
) -> dict[str, Any]:
    """A new callback of `phone_number`, or of a `call`: then of its caller and its campaign. `due_at` may be a time on
    the company's clock. Raises Invalid, NotFound, Conflict where one of this call is open already.
    """
    values = dict(data)
    for name in values:
        if name not in ("phone_number", "call", "campaign", "retry", *_WRITABLE):
            raise Invalid(name, f"is not known here{suggest(name, ('phone_number', 'call', 'campaign', *_WRITABLE))}")
    values.update(await _of_call(session, values.pop("call", None), values))
    campaign = values.pop("campaign", None)
    if campaign is not None:
        values["campaign_id"] = (await find(session, RESOURCES["campaigns"], campaign)).id
    if "due_at" in values:
        values["due_at"] = _due(session, values["due_at"])
    parsed = parse_fields(CallbackFields, values, strict=strict)
    row = Callback(**parsed, created_by=_who(session), created_at=now, updated_at=now)
    session.add(row)
    await session.flush()
    made = (await shown(session, [row], now))[0]
    await audit.record(session, "callback.created", "callback", row.id, None, made)
    return made


async def retry_call(session: AsyncSession, call_id: str, now: int) -> dict[str, Any]:
    """Try a call again: a callback of its caller, due at once and urgent. Raises NotFound, Invalid, Conflict."""
    return await add_callback(session, {"call": call_id, "due_at": now, "priority": "urgent", "retry": True}, now)


async def change_callback(
    session: AsyncSession, key: str | int, data: Mapping[str, Any], now: int, *, strict: bool = False
) -> dict[str, Any]:
    """Another time, person, priority or note. A new time is reminded of anew. Raises NotFound, Invalid, Conflict."""
    row = await _open(session, key)
    for name in data:
        if name not in _WRITABLE:
            raise Invalid(name, f"is not known here{suggest(name, _WRITABLE)}")
    before = (await shown(session, [row], now))[0]
    values = {**{name: getattr(row, name) for name in CallbackFields.model_fields}, **data}
    if "due_at" in data:
        values["due_at"] = _due(session, data["due_at"])
    parsed = parse_fields(CallbackFields, values, strict=strict)
    if parsed["due_at"] != row.due_at:
        row.reminded_at = None
    for name in data:
        setattr(row, name, parsed[name])
    return await _changed(session, row, before, "callback.updated", now)


async def assign_callback(session: AsyncSession, key: str | int, to: str, now: int) -> dict[str, Any]:
    """Give it to somebody; empty text takes it back. Raises NotFound, Invalid, Conflict."""
    return await change_callback(session, key, {"assigned_to": to.strip() or None}, now)


async def begin_callback(session: AsyncSession, key: str | int, now: int) -> dict[str, Any]:
    """Somebody calls now. Raises NotFound, Conflict."""
    return await _move(session, key, "in-progress", "callback.begun", now)


async def complete_callback(
    session: AsyncSession, key: str | int, outcome: str, now: int, notes: str = ""
) -> dict[str, Any]:
    """Done, and what came of it. Raises NotFound, Invalid, Conflict where it is over already."""
    check_text("outcome", outcome)
    words = outcome.strip()
    if not words or len(words) > 255:
        raise Invalid("outcome", "must say what came of it, in 255 characters at most")
    return await _move(session, key, "completed", "callback.completed", now, outcome=words, notes=notes)


async def cancel_callback(session: AsyncSession, key: str | int, now: int) -> dict[str, Any]:
    """Raises NotFound, Conflict."""
    return await _move(session, key, "cancelled", "callback.cancelled", now)


async def _of_call(session: AsyncSession, key: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    if key is None:
        return {}
    if not isinstance(key, str):
        raise Invalid("call", "must be the id of a call")
    call = await find_call(session, key)
    found: dict[str, Any] = {"call_id": call.id}
    if values.get("campaign") is None:
        found["campaign_id"] = call.campaign_id if await _campaign_there(session, call.campaign_id) else None
    if values.get("phone_number") is None:
        if not call.caller.startswith("+"):
            raise Invalid("phone_number", f"the caller of {call.id} withheld its number: nobody can be called back")
        found["phone_number"] = call.caller
    there = select(Callback.id).where(col(Callback.call_id) == call.id, col(Callback.status).in_(OPEN))
    if (other := (await session.exec(there.limit(1))).first()) is not None:
        raise Conflict("call", f"{call.id} has an open callback already: {other}")
    return found


async def _campaign_there(session: AsyncSession, campaign_id: int | None) -> bool:
    """History outlives configuration: the campaign of a call can be gone."""
    return campaign_id is not None and await session.get(m.Campaign, campaign_id) is not None


def _due(session: AsyncSession, given: Any) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if not isinstance(given, str):
        raise Invalid("due_at", "must be a time such as 2026-01-31T09:00")
    return instant_of("due_at", given, zone_of(session))


async def _find(session: AsyncSession, key: str | int, *, lock: bool = False) -> Callback:
    text = str(key).strip()
    row = None
    if text.isascii() and text.isdigit() and len(text) < 10:
        row = await session.get(Callback, int(text), with_for_update=lock or None)
    if row is None:
        raise NotFound("callback", f"there is no callback {key!r}")
    return row


async def _open(session: AsyncSession, key: str | int) -> Callback:
    row = await _find(session, key, lock=True)
    if row.status not in OPEN:
        raise Conflict("callback", f"{row.id} is {row.status} already")
    return row


async def _move(
    session: AsyncSession, key: str | int, status: CallbackStatus, action: str, now: int, **more: Any
) -> dict[str, Any]:
    row = await _open(session, key)
    before = (await shown(session, [row], now))[0]
    row.status = status
    if status == "completed":
        row.completed_at, row.outcome = now, more["outcome"]
        if more["notes"].strip():
            check_text("notes", more["notes"])
            row.notes = f"{row.notes}\n{more['notes'].strip()}".strip()[:10_000]
    return await _changed(session, row, before, action, now)


async def _changed(
    session: AsyncSession, row: Callback, before: Mapping[str, Any], action: str, now: int
) -> dict[str, Any]:
    after = (await shown(session, [row], now))[0]
    if after == before:
        return after
    row.version += 1
    row.updated_at = now
    await session.flush()
    after = (await shown(session, [row], now))[0]
    await audit.record(session, action, "callback", row.id, before, after)
    return after


def _who(session: AsyncSession) -> str:
    name: str = session.info.get("actor", audit.SYSTEM).name
    return name[:255]
