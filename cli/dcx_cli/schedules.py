"""`dcx schedules test` and `now`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import schedules
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

_ZONE = typer.Option("--timezone", metavar="ZONE", help="Say local times in this zone.", show_default=False)


def add_commands(app: typer.Typer) -> None:
    app.command("test", help="Open, closed or holiday at a moment, by which rule, and until when.")(_test)
    app.command("now", help="What is open and what is closed now.")(_now)


def _test(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(help="Id or name.", show_default=False)],
    at: Annotated[
        str, typer.Option(metavar="TIME", help="RFC 3339, or '2026-12-25 10:00' in the schedule's zone.")
    ] = "",
    timezone: Annotated[str, _ZONE] = "",
    json: Json = False,
) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await schedules.at_moment(session, key, at, now_ms(), timezone or None)

    told = run(ctx, work)
    if json:
        show.as_json(told)
        return
    typer.echo(f"{told['schedule']} at {told['local_time']}: {told['state']}")
    typer.echo(f"  by {told['rule']}")
    if told["closes"] or told["opens"]:
        typer.echo(f"  {'closes' if told['open'] else 'opens'} {told['closes'] or told['opens']}")
    else:
        typer.echo("  and stays so for more than a year")


def _now(
    ctx: typer.Context,
    closed: Annotated[bool, typer.Option("--closed", help="Only those that are closed.")] = False,
    timezone: Annotated[str, _ZONE] = "",
    json: Json = False,
) -> None:
    zone = timezone or settings_of(ctx).timezone

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await schedules.overview(session, now_ms(), zone, closed_only=closed)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, ("id", "schedule", "state", "rule", "opens", "closes", "campaigns", "buyers"))
    else:
        show.note("Nothing is closed." if closed else "No schedules yet. Add one: dcx schedules add NAME --weekly …")
