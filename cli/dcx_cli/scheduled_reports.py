"""What scheduled reports have beside the commands of all kinds: sending one at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.scheduled_reports import send_now
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run


def add_commands(app: typer.Typer) -> None:
    app.command("run", help="Send one now, beside its plan.")(_run)


def _run(
    ctx: typer.Context, key: Annotated[str, typer.Argument(help="Id, short id or name.")], json: Json = False
) -> None:
    async def work(database: Database) -> dict[str, Any]:
        return await send_now(database, key, now_ms())

    sent = run(ctx, work)
    if json:
        show.as_json(sent)
    else:
        typer.echo(f"In the outbox for {', '.join(sent['recipients'])}; a running engine sends it.")
