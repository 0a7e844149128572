"""Keep workers up until told to stop: what `dcx up`, and `dcx run --workers`, do."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping

import typer

from dcx_ari.notify import READY, STOPPING, notify
from dcx_ari.settings import Settings
from dcx_ari.slots import slot_names
from dcx_ari.supervisor import Supervisor, WorkerFailed
from dcx_asterisk.ports import check_port
from dcx_cli.logs import set_up_logging

LOCK = "dcx"
"""Name of the lock of the process that has this home's Asterisk and workers."""


async def supervise(settings: Settings, environment: Mapping[str, str]) -> int:
    """The exit status. `environment` is what workers get besides ours. Says `ready` once all of them take calls."""
    set_up_logging(settings)
    # Workers wait for the port, because another of them may have it; a stranger would be waited for in vain.
    check_port("DCX_API_PORT", settings.api_host, settings.api_port)
    command = [sys.executable, "-m", "dcx_cli.main", "--home", str(settings.home), "run", "--worker"]
    told = {"DCX_WORKERS": str(settings.workers), **environment}
    supervisor = Supervisor(slot_names(settings.app_name, settings.workers), lambda _: command, told)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.replace)
    try:
        return await supervisor.run(lambda: _say_ready(settings))
    except WorkerFailed as failure:
        return failure.status  # it has said why itself
    finally:
        notify(STOPPING)


def _say_ready(settings: Settings) -> None:
    workers = f", {settings.workers} workers" if settings.workers > 1 else ""
    typer.echo(
        f"ready: SIP {settings.sip_host}:{settings.sip_port}, API http://{settings.api_host}:{settings.api_port}, "
        f"home {settings.home}{workers}"
    )
    sys.stdout.flush()
    notify(READY)
