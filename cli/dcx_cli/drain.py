"""`dcx drain`: take no new calls, and end when the live ones are over."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Annotated

import typer

from dcx_ari.services.errors import Refused
from dcx_ari.slots import pid_of
from dcx_cli import show
from dcx_cli.supervising import LOCK
from dcx_cli.work import settings_of
from dcx_cli.workers import workers

_LOOK_S = 0.5
_ENDS_S = 60.0

Slot = Annotated[str | None, typer.Argument(help="A worker, such as dcx-1. Without: all of them.", show_default=False)]


def command(ctx: typer.Context, slot: Slot = None) -> None:
    """Take no new calls, wait for the live ones, then end. Where other workers are up, they take over the live calls
    of the one that is drained; else calls have DCX_DRAIN_S seconds to end, and what is left then is ended.
    """
    settings = settings_of(ctx)
    name = slot or (LOCK if pid_of(settings.home, LOCK) else settings.app_name)
    pid = pid_of(settings.home, name)
    if pid is None:
        raise Refused("slot", f"{slot} does not run in {settings.home}" if slot else f"nothing runs in {settings.home}")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    _wait(ctx, name, pid, settings.drain_s + _ENDS_S)


def _wait(ctx: typer.Context, name: str, pid: int, limit_s: float) -> None:
    home = settings_of(ctx).home
    until, said = time.monotonic() + limit_s, -1
    while pid_of(home, name) == pid:
        if time.monotonic() > until:
            raise Refused("slot", f"process {pid} has not ended after {limit_s:.0f} s: see its log")
        calls = sum(worker.calls for worker in workers(ctx) if name in (LOCK, worker.slot))
        if calls != said:
            show.note(f"{calls} calls are up")
            said = calls
        time.sleep(_LOOK_S)
    show.note("drained")
