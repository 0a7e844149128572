"""Deleting the audio of recordings; rows stay, with hash, time and reason.

In three steps: mark (from here on nobody hears it), delete the file, confirm. A crash between any two leaves a row that
says what is the case, and the next run goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import and_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.call_view import view_of
from dcx_ari.services.calls import recording_shown
from dcx_ari.services.errors import Conflict
from dcx_ari.services.recordings import FOLDER, find_recording
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Recording


async def delete_recording(database: Database, home: Path, recording_id: str, reason: str, now: int) -> dict[str, Any]:
    """Delete the audio of one recording; the row stays, with its hash, the time and the reason.

    Nothing happens to one whose audio is gone already. Raises NotFound, Conflict (legal hold; not ready), OSError.
    """
    async with database.write() as session:
        row = await find_recording(session, recording_id)
        if row.deleting_at is None:
            await mark(session, row, reason, now)
    await finish(database, home, [row.id], now)
    async with database.read() as session:
        return recording_shown(await find_recording(session, recording_id), view_of(session))


async def mark(session: AsyncSession, row: Recording, reason: str, now: int) -> None:
    """From here on nobody hears it. Raises Conflict where the call is on hold, or the file is being made."""
    if await session.get(m.LegalHold, row.call_id) is not None:
        raise Conflict("recording", f"{row.id}: the call is on legal hold")
    if row.state not in ("ready", "failed"):
        raise Conflict("recording", f"{row.id} is {row.state}: wait until it is ready")
    row.deleting_at, row.delete_reason = now, reason[:255]
    await session.flush()
    before = {"path": row.path, "sha256": row.sha256, "call_id": row.call_id}
    await audit.record(session, "recording.deleted", "recording", row.id, before, None, row.delete_reason)


async def unfinished(session: AsyncSession, limit: int = 500) -> list[str]:
    """Ids of recordings that are marked, and not confirmed."""
    open_ = and_(col(Recording.deleting_at).is_not(None), col(Recording.deleted_at).is_(None))
    return list((await session.exec(select(Recording.id).where(open_).order_by(col(Recording.id)).limit(limit))).all())


async def finish(database: Database, home: Path, ids: Sequence[str], now: int) -> int:
    """Delete the files of marked recordings and confirm; bytes that are free now. Raises OSError: try again."""
    async with database.read() as session:
        rows = (await session.exec(select(Recording).where(col(Recording.id).in_(ids)))).all()
    marked = [row for row in rows if row.deleting_at is not None and row.deleted_at is None]
    for row in marked:
        await asyncio.to_thread(_unlink, home, row)
    async with database.write() as session:
        done = update(Recording).where(col(Recording.id).in_([row.id for row in marked]))
        await session.exec(done.values(deleted_at=now))
    return sum(row.size_bytes or 0 for row in marked)


def _unlink(home: Path, row: Recording) -> None:
    unlink_below(home, FOLDER, row.path)


def unlink_below(home: Path, folder: str, path: str | None) -> None:
    """Delete a file that lies below a folder of the home; whatever lies elsewhere is left alone. Raises OSError."""
    if path is None:
        return
    file = (home / path).resolve()
    if file.is_relative_to((home / folder).resolve()):
        file.unlink(missing_ok=True)
