"""`dcx run`: only the engine and the API."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Annotated

import typer

from dcx_ari.settings import MOST_WORKERS, Settings
from dcx_cli.given import settings_of

WORKERS = typer.Option("--workers", min=1, max=MOST_WORKERS, help="Worker processes (DCX_WORKERS, 1).")


def command(
    ctx: typer.Context,
    workers: Annotated[int | None, WORKERS] = None,
    worker: Annotated[bool, typer.Option("--worker", hidden=True, help="One of a supervisor's.")] = False,
) -> None:
    """Run the engine and the API against an Asterisk that somebody else runs (see DCX_ARI_URL)."""
    settings = settings_of(ctx)
    if worker:
        _be_worker(settings)
    elif workers is not None or settings.workers > 1:
        _supervise(replace(settings, workers=workers or settings.workers))
    else:
        _be_worker(settings)


def _be_worker(settings: Settings) -> None:
    import uvloop

    from dcx_ari.local import access_to_foreign
    from dcx_cli.logs import set_up_logging
    from dcx_cli.serving import serve

    set_up_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = runner.run(serve(settings, access_to_foreign(settings)))
    if status:
        raise typer.Exit(status)


def _supervise(settings: Settings) -> None:
    from dcx_ari.slots import only_process
    from dcx_cli.supervising import LOCK, supervise

    with only_process(settings, LOCK):
        status = asyncio.run(supervise(settings, {}))
    if status:
        sys.exit(status)
