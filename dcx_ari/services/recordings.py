"""Recordings: lists, their files, and whether these are still what was recorded."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.call_view import view_of
from dcx_ari.services.calls import find_call, recording_shown
from dcx_ari.services.errors import Conflict, Gone, Invalid, NotFound
from dcx_ari.services.listing import MAX_LIMIT
from dcx_ari.services.parse import check_text
from dcx_ari.services.times import rfc3339
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call, Recording

FOLDER = "recordings"


async def find_recording(session: AsyncSession, recording_id: str) -> Recording:
    """A recording of a call that the asker may see. Raises NotFound."""
    text = recording_id.strip()
    found = select(Recording).join(Call, col(Call.id) == col(Recording.call_id))
    mine = view_of(session).conditions()
    row = (await session.exec(found.where(col(Recording.id) == text, *mine))).first() if text.isprintable() else None
    if row is None:
        raise NotFound("recording", f"there is no recording {recording_id!r}")
    return row


async def show_recording(session: AsyncSession, recording_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    return recording_shown(await find_recording(session, recording_id), view_of(session))


async def recording_of(session: AsyncSession, call_id: str, recording_id: str = "") -> Recording:
    """The recording of a call that is named, else the first that can be heard. Raises NotFound, Gone, Conflict."""
    call = await find_call(session, call_id)
    rows = select(Recording).where(col(Recording.call_id) == call.id).order_by(col(Recording.id))
    found = list((await session.exec(rows)).all())
    if recording_id:
        found = [row for row in found if row.id == recording_id]
    if not found:
        raise NotFound("recording", f"call {call.id} has no recording {recording_id}".rstrip())
    ready = [row for row in found if row.state == "ready" and row.deleting_at is None]
    if not ready:
        check_there(found[0])
    return ready[0]


def check_there(row: Recording) -> None:
    """Raises Gone where the audio was deleted, Conflict where it is not there yet or never came to be."""
    if row.deleting_at is not None:
        when = rfc3339(row.deleted_at or row.deleting_at)
        raise Gone("recording", f"{row.id} was deleted {when}: {row.delete_reason or 'no reason given'}")
    if row.state != "ready" or row.path is None:
        raise Conflict("recording", f"{row.id} is {row.state}{': ' + row.error if row.error else ''}")


def file_of(home: Path, row: Recording) -> Path:
    """Where the audio is: below the folder of recordings, whatever the row says. Raises NotFound, Gone, Conflict."""
    check_there(row)
    folder = (home / FOLDER).resolve()
    path = (home / str(row.path)).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise NotFound("recording", f"{row.id}: its file is missing")
    return path


async def list_recordings(
    session: AsyncSession, *, call: str = "", deleted: bool | None = None, limit: int = 100, before: str = ""
) -> list[dict[str, Any]]:
    """Newest first (ids sort by time); `before` is the id of the last one seen. Raises NotFound, Invalid."""
    check_text("cursor", before)
    if not 1 <= limit <= MAX_LIMIT + 1:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    view = view_of(session)
    conditions = view.conditions()
    if call:
        conditions.append(col(Recording.call_id) == (await find_call(session, call)).id)
    if deleted is not None:
        gone = col(Recording.deleting_at).is_not(None)
        conditions.append(gone if deleted else ~gone)
    if before:
        conditions.append(col(Recording.id) < before)
    found = select(Recording).join(Call, col(Call.id) == col(Recording.call_id)).where(*conditions)
    rows = await session.exec(found.order_by(col(Recording.id).desc()).limit(limit))
    return [recording_shown(row, view) for row in rows.all()]


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a file: `state` is intact, changed or missing."""

    recording_id: str
    path: str
    state: str


async def verify(database: Database, home: Path, call: str = "", part: int = 200) -> list[Checked]:
    """Hash the files of all recordings that should be there (or of one call's) and compare. Raises NotFound."""
    found: list[Checked] = []
    last = ""
    while True:
        async with database.read() as session:
            rows = await _to_verify(session, call, last, part)
        for row in rows:
            state = await asyncio.to_thread(_state_of, home, row)
            found.append(Checked(row.id, row.path or "", state))
        if len(rows) < part:
            return found
        last = rows[-1].id


async def _to_verify(session: AsyncSession, call: str, last: str, part: int) -> Sequence[Recording]:
    there = [col(Recording.state) == "ready", col(Recording.deleting_at).is_(None), col(Recording.id) > last]
    if call:
        there.append(col(Recording.call_id) == (await find_call(session, call)).id)
    return (await session.exec(select(Recording).where(*there).order_by(col(Recording.id)).limit(part))).all()


def _state_of(home: Path, row: Recording) -> str:
    try:
        with file_of(home, row).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (NotFound, OSError):
        return "missing"
    return "intact" if hmac.compare_digest(digest, row.sha256 or "") else "changed"


async def played(session: AsyncSession, row: Recording) -> None:
    """Note in the audit log that the session's actor hears a recording."""
    await audit.record(session, "recording.played", "recording", row.id, None, {"call_id": row.call_id})
