"""Recordings that nobody finished: the process that was to do so was killed between the call's end and the file's."""

from __future__ import annotations

from typing import Protocol

from sqlmodel import col, select

from dcx_ari.store.db import Database
from dcx_ari.store.models import Call, Recording

GRACE_MS = 60_000  # by then whoever ended the call has finished its recordings, if he lives
_LOOK_MS = 20_000
_OLDEST_MS = 7 * 86_400_000
_AT_ONCE = 20


class Finisher(Protocol):
    """The part of the recorder that is needed here."""

    def finish(self, call_id: str, recording_id: str) -> None: ...


async def finish_recordings(database: Database, recorder: Finisher | None, now: int) -> int:
    """Have them finished; when to look again. Times are epoch ms. Raises StoreError."""
    if recorder is None:
        return now + _LOOK_MS
    over = (col(Call.ended_at) < now - GRACE_MS, col(Call.ended_at) > now - _OLDEST_MS)
    waiting = col(Recording.state).in_(("recording", "processing"))
    query = select(Recording).join(Call, col(Call.id) == col(Recording.call_id)).where(waiting, *over)
    async with database.read() as session:
        found = (await session.exec(query.order_by(col(Recording.started_at), col(Recording.id)).limit(_AT_ONCE))).all()
    for recording in found:
        recorder.finish(recording.call_id, recording.id)
    return now + _LOOK_MS
