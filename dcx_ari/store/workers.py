"""When a worker was last alive, for the one that takes over."""

from __future__ import annotations

from collections.abc import Sequence

from dcx_ari.store.db import Database
from dcx_ari.store.models.workers import Worker

_SEEN = (
    "INSERT INTO workers (slot, pid, seen_at, asterisk_started) VALUES (?, ?, ?, ?) ON CONFLICT (slot) DO UPDATE SET "
    "pid = excluded.pid, seen_at = excluded.seen_at, asterisk_started = excluded.asterisk_started"
)


def seen(slot: str, pid: int, at_ms: int, asterisk_started: str) -> tuple[str, Sequence[Sequence[object]]]:
    """The statement that says that a worker lives."""
    return _SEEN, [(slot, pid, at_ms, asterisk_started)]


async def last_seen(database: Database, slot: str) -> Worker | None:
    """The slot's row, whoever wrote it."""
    async with database.read() as session:
        return await session.get(Worker, slot)
