"""`dcx workers`: the engine's processes."""

from __future__ import annotations

import os
import signal
import time

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.errors import Refused
from dcx_ari.services.workers import WorkerView, as_row, list_workers
from dcx_ari.settings import Settings
from dcx_ari.slots import pid_of, slot_names
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.supervising import LOCK
from dcx_cli.work import run, settings_of

app = new_app("Workers: the engine's processes.")

_COLUMNS = ("slot", "pid", "state", "calls", "started_at", "seen_at")
_EACH_S = 120.0
_LOOK_S = 0.2


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List the workers: what each does, and its open calls."""
    rows = [as_row(worker) for worker in workers(ctx)]
    if json:
        show.as_json(rows)
    elif rows:
        show.table(rows, _COLUMNS)
    else:
        show.note("No worker has ever run on this database.")


@app.command()
def restart(ctx: typer.Context) -> None:
    """Replace every worker by a new process, one after the other. Calls go on; see also dcx drain."""
    settings = settings_of(ctx)
    supervisor = pid_of(settings.home, LOCK)
    if supervisor is None:
        raise Refused("workers", f"nothing runs in {settings.home}: start it with dcx up")
    before = {worker.slot: worker.pid for worker in workers(ctx)}
    os.kill(supervisor, signal.SIGHUP)
    waiting = _slots(settings, before)
    until = time.monotonic() + _EACH_S * len(waiting)
    while waiting:
        if time.monotonic() > until or pid_of(settings.home, LOCK) != supervisor:
            raise Refused("workers", f"{', '.join(waiting)} did not come back: see the log of dcx up")
        time.sleep(_LOOK_S)
        for worker in workers(ctx):
            if worker.slot in waiting and worker.state == "up" and worker.pid != before[worker.slot]:
                waiting.remove(worker.slot)
                show.note(f"{worker.slot}: process {worker.pid} has taken the place of {before[worker.slot]}")


def workers(ctx: typer.Context) -> list[WorkerView]:
    return run(ctx, lambda database: list_workers(database, now_ms()))


def _slots(settings: Settings, known: dict[str, int]) -> list[str]:
    """The slots that have a process, or had one and belong to the workers as they are set."""
    wanted = slot_names(settings.app_name, settings.workers)
    return [slot for slot in known if slot in wanted or pid_of(settings.home, slot) is not None]
