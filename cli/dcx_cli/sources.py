"""`dcx sources new`, `toggle`, `numbers`, `add-number`, `remove-number`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services import sources
from dcx_ari.store.db import Database
from dcx_cli import show, source_wizard
from dcx_cli.options import Json
from dcx_cli.work import run

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Id or name.", show_default=False)]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="One of your numbers, or its id.", show_default=False)]
_COLUMNS = (
    *("phone_number", "friendly_name", "campaign", "status"),
    *("call_count", "recent_call_count", "last_call_at", "monthly_cost_cents"),
)


def add_commands(app: typer.Typer) -> None:
    app.command("new", help=source_wizard.new.__doc__)(source_wizard.new)
    app.command("toggle", help="Pause a source, or resume it.")(_toggle)
    app.command("numbers", help="A source's numbers, with the calls that each brought for it.")(_numbers)
    app.command("add-number", help="Give a source a number, as far as its number limit allows.")(_add)
    app.command("remove-number", help="Take a number off a source.")(_remove)


def _toggle(ctx: typer.Context, source: Source, json: Json = False) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await sources.toggle(session, source)

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{'Resumed' if row['status'] == 'ACTIVE' else 'Paused'} source {row['id']}: {row['name']}")


def _numbers(ctx: typer.Context, source: Source, json: Json = False) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await sources.numbers(session, source)

    found = run(ctx, work)
    if json:
        show.as_json(found["data"])
        return
    if found["data"]:
        show.table(found["data"], _COLUMNS)
    else:
        show.note(f"No numbers yet. Give it one: dcx sources add-number {source} +15551234567")
    if found["number_limit"] is not None:
        show.note(f"{found['total']} of {found['number_limit']} numbers.")


def _add(ctx: typer.Context, source: Source, number: Number, json: Json = False) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await sources.add_number(session, source, number)

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{row['phone_number']} is {row['traffic_source']}'s now")


def _remove(ctx: typer.Context, source: Source, number: Number, json: Json = False) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await sources.remove_number(session, source, number)

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{row['phone_number']} is free now")
