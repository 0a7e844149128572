"""Voicemails: what callers left, who looks after it, and whether it is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.callbacks import add_callback, change_callback
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.scope import scope_of
from dcx_ari.services.times import rfc3339
from dcx_ari.services.voicemail_list import THERE, shown
from dcx_ari.store.models.callbacks import OPEN, Callback
from dcx_ari.store.models.voicemails import Voicemail

FOLDER = "voicemail"
STATES = ("new", "heard", "done")
PRIORITIES = ("low", "normal", "high", "urgent")
_WRITABLE = ("state", "priority", "assigned_to", "notes")
_LONGEST = 10_000


async def find_voicemail(session: AsyncSession, key: str, *, lock: bool = False) -> Voicemail:
    """By id, or by the id of its call where that has one only. Raises NotFound, Conflict."""
    text, scope = key.strip(), scope_of(session)
    rows: list[Voicemail] = []
    if text and text.isprintable() and len(text) <= 64 and scope.everything:
        wanted = (col(Voicemail.id) == text) if "." in text else (col(Voicemail.call_id) == text)
        query = select(Voicemail).where(wanted, *THERE).order_by(col(Voicemail.id))
        rows = list((await session.exec(query.with_for_update() if lock else query)).all())
    if not rows:
        raise NotFound("voicemail", f"there is no voicemail {key!r}")
    if len(rows) > 1:
        raise Conflict("voicemail", f"call {text} has {len(rows)}: {', '.join(row.id for row in rows)}")
    return rows[0]


async def show_voicemail(session: AsyncSession, key: str) -> dict[str, Any]:
    """Raises NotFound."""
    return shown(await find_voicemail(session, key))


async def change_voicemail(
    session: AsyncSession, key: str, data: Mapping[str, Any], now: int, action: str = "voicemail.updated"
) -> dict[str, Any]:
    """Another state, priority, person or note. Raises NotFound, Invalid."""
    for name in data:
        if name not in _WRITABLE:
            raise Invalid(name, f"is not known here{suggest(name, _WRITABLE)}")
    values = {name: _checked(name, value) for name, value in data.items()}
    row = await find_voicemail(session, key, lock=True)
    before = shown(row)
    for name, value in values.items():
        setattr(row, name, value)
    if row.state != "new":
        row.heard_at = row.heard_at or now
    row.done_at = (row.done_at or now) if row.state == "done" else None
    if shown(row) == before:
        return before
    row.updated_at = now
    session.add(row)
    await session.flush()
    await audit.record(session, action, "voicemail", row.id, before, shown(row))
    return shown(row)


def _checked(name: str, value: Any) -> Any:
    if value is None and name == "assigned_to":
        return None
    if not isinstance(value, str):
        raise Invalid(name, "must be text")
    check_text(name, value)
    for field, words in (("state", STATES), ("priority", PRIORITIES)):
        if name == field and value not in words:
            raise Invalid(name, f"{value!r} is not one of {', '.join(words)}")
    if len(value) > (255 if name == "assigned_to" else _LONGEST):
        raise Invalid(name, "is too long")
    return value.strip() or None if name == "assigned_to" else value


async def assign(session: AsyncSession, key: str, to: str | None, now: int) -> dict[str, Any]:
    """Give it to somebody; nobody: take it back. Raises NotFound, Invalid."""
    return await change_voicemail(session, key, {"assigned_to": to or None}, now, "voicemail.assigned")


async def mark_heard(session: AsyncSession, key: str, now: int) -> dict[str, Any]:
    """Somebody listened; one that is done stays so. Raises NotFound."""
    row = await find_voicemail(session, key)
    return await change_voicemail(session, row.id, {"state": max(row.state, "heard", key=STATES.index)}, now)


async def mark_done(session: AsyncSession, key: str, now: int, notes: str = "") -> dict[str, Any]:
    """Nobody needs to look at it any more; `notes` are added. Raises NotFound, Invalid."""
    row = await find_voicemail(session, key)
    change = {"state": "done"}
    if notes.strip():
        change["notes"] = f"{row.notes}\n{notes.strip()}".strip()
    return await change_voicemail(session, row.id, change, now, "voicemail.done")


async def schedule_callback(session: AsyncSession, key: str, data: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Call whoever left it back at `due_at`; also `priority`, `assigned_to`, `notes`. The callback that is open already
    is moved. Gives the callback. Raises NotFound, Invalid, Conflict.
    """
    row = await find_voicemail(session, key, lock=True)
    wanted = {"priority": row.priority, "assigned_to": row.assigned_to, **data}
    open_one = select(Callback.id).where(col(Callback.call_id) == row.call_id, col(Callback.status).in_(OPEN))
    there = (await session.exec(open_one.limit(1))).first()
    if there is not None:
        made = await change_callback(session, there, data, now, strict=True)
    else:
        made = await add_callback(session, {"call": row.call_id, **wanted}, now, strict=True)
    callback = await session.get(Callback, made["id"])
    before = shown(row)
    row.callback_scheduled_at = callback.due_at if callback is not None else None
    row.updated_at = now
    session.add(row)
    await session.flush()
    await audit.record(session, "voicemail.callback_scheduled", "voicemail", row.id, before, shown(row))
    return made


async def played(session: AsyncSession, row: Voicemail, now: int) -> None:
    """Somebody hears it: it is not new any more, and the audit log says who did."""
    await mark_heard(session, row.id, now)
    await audit.record(session, "voicemail.played", "voicemail", row.id, None, {"call_id": row.call_id})


def file_of(home: Path, row: Voicemail) -> Path:
    """Where the audio is: below its folder, whatever the row says. Raises NotFound, Conflict."""
    if row.audio != "ready" or row.path is None:
        raise Conflict("voicemail", f"{row.id} has no audio: {row.error or rfc3339(row.created_at)}")
    path = (home / row.path).resolve()
    if not path.is_relative_to((home / FOLDER).resolve()) or not path.is_file():
        raise NotFound("voicemail", f"{row.id}: its file is missing")
    return path
