"""Who the workers are, when each was last alive, and whose the open calls are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, text, update
from sqlmodel import col, select

from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call
from dcx_ari.store.models.workers import Worker, WorkerState

_COLUMNS = ("slot", "pid", "state", "calls", "started_at", "seen_at", "asterisk_started")
_SEEN = (
    f"INSERT INTO workers ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 — constants
    f"ON CONFLICT (slot) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)


def seen(
    slot: str, pid: int, state: WorkerState, calls: int, started_at: int, seen_at: int, asterisk_started: str
) -> tuple[str, Sequence[Sequence[object]]]:
    """The statement that says that a worker lives; times are epoch ms."""
    return _SEEN, [(slot, pid, state, calls, started_at, seen_at, asterisk_started)]


async def last_seen(database: Database, slot: str) -> Worker | None:
    """The slot's row, whoever wrote it."""
    async with database.read() as session:
        return await session.get(Worker, slot)


async def all_workers(database: Database) -> list[Worker]:
    """Every slot that was ever used, by name."""
    async with database.read() as session:
        return list((await session.exec(select(Worker).order_by(col(Worker.slot)))).all())


async def others_up(database: Database, slot: str, since: int) -> list[str]:
    """The slots, but for this one, that take calls and were seen at or after `since` (epoch ms)."""
    state: WorkerState = "up"
    async with database.read() as session:
        query = select(Worker.slot).where(col(Worker.slot) != slot, col(Worker.seen_at) >= since)
        return list((await session.exec(query.where(col(Worker.state) == state).order_by(col(Worker.slot)))).all())


async def open_counts(database: Database) -> dict[str, int]:
    """How many calls without an end each worker has, by slot."""
    async with database.read() as session:
        query = select(Call.worker, func.count()).where(col(Call.ended_at).is_(None))
        return {slot: int(n) for slot, n in (await session.exec(query.group_by(col(Call.worker)))).all()}


async def claim_calls(database: Database, of: str, by: str) -> set[str]:
    """Make the open calls of one worker another's, with what they hold of caps; their ids.

    One transaction: of several who claim the same calls, one gets them. Raises StoreError.
    """
    async with database.write() as session:
        claimed = update(Call).where(col(Call.worker) == of, col(Call.ended_at).is_(None)).values(worker=by)
        ids = set((await session.exec(claimed.returning(col(Call.id)))).scalars().all())
        held = text("UPDATE cap_holds SET worker = :by WHERE worker = :of AND state = 'held'")
        await session.execute(held, {"by": by, "of": of})
        return ids


async def alive(database: Database, slot: str, since: int) -> list[str]:
    """The slots, but for this one, that have a process, and were seen at or after `since` (epoch ms)."""
    gone: WorkerState = "gone"
    async with database.read() as session:
        query = select(Worker.slot).where(col(Worker.slot) != slot, col(Worker.seen_at) >= since)
        return list((await session.exec(query.where(col(Worker.state) != gone).order_by(col(Worker.slot)))).all())


async def worker_of(database: Database, call_id: str) -> str | None:
    """Whose the call is; None where there is no such call, or it has ended."""
    async with database.read() as session:
        query = select(Call.worker).where(col(Call.id) == call_id, col(Call.ended_at).is_(None))
        return (await session.exec(query)).first()
