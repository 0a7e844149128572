"""What runs when: every job of the house, in one list. A new one is a line in `jobs_of`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dcx_ari.decide.periods import zone_of
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.jobs import Job
from dcx_ari.services import daily_summary, offline_buyers, scheduled_reports, usage_snapshots, velocity
from dcx_ari.services.callback_reminders import remind_job
from dcx_ari.services.cap_alerts import CapAlerts
from dcx_ari.services.retention_run import retention_job
from dcx_ari.services.transcription import Transcriber, transcribe_job
from dcx_ari.settings import Settings
from dcx_ari.store import deliveries, leases
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import Ledger
from dcx_ari.unfinished import Finisher, finish_recordings

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_OUTBOX_KEPT_MS = 30 * _DAY_MS
_OUTBOX_WAITS_MS = 10 * _DAY_MS  # longer than all its attempts take


@dataclass(frozen=True, slots=True)
class Parts:
    """What jobs work with. `now_ms` is the engine's clock, `snapshot` the configuration as of now."""

    settings: Settings
    database: Database
    ledger: Ledger
    snapshot: Callable[[], Snapshot]
    now_ms: Callable[[], int]
    transcriber: Transcriber | None = None
    recorder: Finisher | None = None


def jobs_of(parts: Parts) -> list[Job]:
    """`Job(name, run)`: `run(now)` is awaited when due and returns the next due time, both epoch ms; see `jobs.Job`."""

    async def forget_claims(now: int) -> int:
        async with parts.database.write() as session:
            await leases.forget_claims(session, now)
        return now + _HOUR_MS

    async def forget_callers(now: int) -> int:
        async with parts.database.write() as session:
            await velocity.forget_old(session, now)
        return now + _DAY_MS

    async def tidy_outbox(now: int) -> int:
        async with parts.database.write() as session:
            await deliveries.end_stale(session, now - _OUTBOX_WAITS_MS, now)
            await deliveries.purge(session, now - _OUTBOX_KEPT_MS)
        return now + _HOUR_MS

    return [
        Job("claims", forget_claims),
        Job("outbox", tidy_outbox),
        Job("cap alerts", CapAlerts(parts.database, parts.snapshot).run),
        Job("offline buyers", partial(offline_buyers.run, parts.database, parts.snapshot)),
        Job("daily summary", partial(daily_summary.run, parts.database, zone_of(parts.settings.timezone))),
        Job("usage snapshots", partial(usage_snapshots.take_due, parts.database)),
        Job("callers kept out", forget_callers),
        Job("callback reminders", partial(remind_job, parts.database)),
        Job("unfinished recordings", partial(finish_recordings, parts.database, parts.recorder)),
        Job("transcription", partial(transcribe_job, parts.database, parts.settings.home, parts.transcriber)),
        Job("retention", partial(retention_job, parts.database, parts.settings.home)),
        Job("scheduled reports", partial(scheduled_reports.run_due, parts.database, zone_of(parts.settings.timezone))),
    ]
