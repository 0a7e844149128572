"""The workers of an installation, as their rows tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dcx_ari.services.times import rfc3339
from dcx_ari.store.db import Database
from dcx_ari.store.workers import all_workers, open_counts

SILENT_MS = 5_000
"""A worker gives a sign of life every second; one that has not for so long is shown as silent."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One slot. `state`: up, draining, gone (ended by itself), silent (no sign of life). `calls` are open rows."""

    slot: str
    pid: int
    state: str
    calls: int
    started_at: str
    seen_at: str


async def list_workers(database: Database, now: int) -> list[WorkerView]:
    """Every slot that was ever used, by name. Raises StoreError."""
    counts = await open_counts(database)
    return [
        WorkerView(
            slot=worker.slot,
            pid=worker.pid,
            state="silent" if worker.state != "gone" and now - worker.seen_at > SILENT_MS else worker.state,
            calls=counts.get(worker.slot, 0),
            started_at=rfc3339(worker.started_at),
            seen_at=rfc3339(worker.seen_at),
        )
        for worker in await all_workers(database)
    ]


def as_row(worker: WorkerView) -> dict[str, object]:
    return asdict(worker)
