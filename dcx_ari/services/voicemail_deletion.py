"""Deleting voicemails: the file, then the row. What stays is the audit log's entry, and that the call left a message.

In three steps, as recordings: mark (from here on nobody finds it), delete the file, delete the row. A crash between any
two leaves a marked row, and the next run of the retention rules goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict
from dcx_ari.services.recording_deletion import unlink_below
from dcx_ari.services.render import plain
from dcx_ari.services.voicemail_list import shown
from dcx_ari.services.voicemails import FOLDER, find_voicemail
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.models.voicemails import Voicemail


async def delete_voicemail(database: Database, home: Path, key: str, reason: str, now: int) -> dict[str, Any]:
    """Delete one; gives what it was. Raises NotFound, Conflict (legal hold), OSError (it is marked: try again)."""
    async with database.write() as session:
        row = await find_voicemail(session, key, lock=True)
        before = shown(row)
        await mark(session, row, reason, now)
    await finish(database, home, [row.id])
    return before


async def mark(session: AsyncSession, row: Voicemail, reason: str, now: int) -> None:
    """From here on nobody finds it. Raises Conflict where the call is on hold, or it is being recorded."""
    if await session.get(m.LegalHold, row.call_id) is not None:
        raise Conflict("voicemail", f"{row.id}: the call is on legal hold")
    if row.audio == "recording":
        raise Conflict("voicemail", f"{row.id} is being recorded")
    row.deleting_at, row.transcribing = now, "none"
    session.add(row)
    await session.flush()
    before = {"call_id": row.call_id, "sha256": row.sha256, "state": row.state}
    before["created_at"] = plain("created_at", row.created_at)
    await audit.record(session, "voicemail.deleted", "voicemail", row.id, before, None, reason[:255] or None)


async def unfinished(session: AsyncSession, limit: int = 500) -> list[str]:
    """Ids of voicemails that are marked."""
    marked = select(Voicemail.id).where(col(Voicemail.deleting_at).is_not(None))
    return list((await session.exec(marked.order_by(col(Voicemail.id)).limit(limit))).all())


async def finish(database: Database, home: Path, ids: Sequence[str]) -> int:
    """Delete files and rows of marked voicemails; bytes that are free now. Raises OSError: try again."""
    wanted = (col(Voicemail.id).in_(ids), col(Voicemail.deleting_at).is_not(None))
    async with database.read() as session:
        marked = (await session.exec(select(Voicemail).where(*wanted))).all()
    for row in marked:
        await asyncio.to_thread(unlink_below, home, FOLDER, row.path)
    async with database.write() as session:
        await session.exec(delete(Voicemail).where(*wanted))
    return sum(row.size_bytes or 0 for row in marked)
