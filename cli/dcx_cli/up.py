"""`dcx up`: the product on one machine in one command."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from dcx_ari.settings import Settings
from dcx_cli.given import settings_of
from dcx_cli.run import WORKERS


def command(ctx: typer.Context, workers: Annotated[int | None, WORKERS] = None) -> None:
    """Start Asterisk, the engine and the API; stop all of it on Ctrl-C or SIGTERM."""
    from dcx_ari.slots import only_process
    from dcx_cli.supervising import LOCK

    settings = settings_of(ctx)
    settings = replace(settings, workers=workers or settings.workers)
    with only_process(settings, LOCK):
        status = asyncio.run(_up(settings))
    if status:
        raise typer.Exit(status)


async def _up(settings: Settings) -> int:
    from dcx_ari.local import local_asterisk
    from dcx_cli.fetching import fetch_progress
    from dcx_cli.supervising import supervise

    with fetch_progress() as report:
        asterisk = local_asterisk(settings, report)
        access = await asterisk.__aenter__()
    try:
        return await supervise(settings, {"DCX_ARI_URL": access.ari_url})
    finally:
        await asterisk.__aexit__(None, None, None)
