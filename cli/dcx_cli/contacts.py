"""`dcx contacts calls`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.contacts import calls_of
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run

_COLUMNS = ("id", "started_at", "status", "number", "campaign", "buyer", "talk_ms", "revenue_cents")


def add_commands(app: typer.Typer) -> None:
    app.command("calls", help="The calls from a contact's number, newest first.")(_calls)


def _calls(
    ctx: typer.Context,
    contact: Annotated[str, typer.Argument(help="Id or number.", show_default=False)],
    limit: Annotated[int, typer.Option(help="Most calls.")] = 50,
    json: Json = False,
) -> None:
    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            query = Query(limit=limit, sort_by="started_at", descending=True)
            return (await calls_of(session, contact, query, count=False)).items

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note("No calls from this number yet.")
