"""`dcx up`: the product on one machine in one command."""

from __future__ import annotations

import asyncio

import typer

from dcx_cli.work import settings_of


def command(ctx: typer.Context) -> None:
    """Start Asterisk, the engine and the API; stop all of it on Ctrl-C or SIGTERM."""
    from dcx_ari.local import local_asterisk, only_engine
    from dcx_cli.serving import fetch_progress, serve, set_up_logging

    settings = settings_of(ctx)
    set_up_logging(settings)

    async def up() -> None:
        with fetch_progress() as report:
            asterisk = local_asterisk(settings, report)
            access = await asterisk.__aenter__()
        try:
            await serve(settings, access)
        finally:
            await asterisk.__aexit__(None, None, None)

    with only_engine(settings):
        asyncio.run(up())
