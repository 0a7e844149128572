"""`dcx run`: only the engine and the API."""

from __future__ import annotations

import asyncio

import typer

from dcx_cli.work import settings_of


def command(ctx: typer.Context) -> None:
    """Run the engine and the API against an Asterisk that somebody else runs (see DCX_ARI_URL)."""
    from dcx_ari.local import access_to_foreign, only_engine
    from dcx_cli.serving import serve, set_up_logging

    settings = settings_of(ctx)
    set_up_logging(settings)
    with only_engine(settings):
        asyncio.run(serve(settings, access_to_foreign(settings)))
