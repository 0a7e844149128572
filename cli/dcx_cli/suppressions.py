"""`dcx suppressions velocity`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services import velocity
from dcx_ari.services.errors import Invalid
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run


def add_commands(app: typer.Typer) -> None:
    app.command("velocity", help="Keep out numbers that ring too often: show the rule, set it, or turn it off.")(_rule)


def _rule(
    ctx: typer.Context,
    calls: Annotated[int | None, typer.Option(help="So many calls from one number…")] = None,
    minutes: Annotated[int | None, typer.Option(help="… within so many minutes …")] = None,
    block_minutes: Annotated[int | None, typer.Option(help="… keep it out for so many minutes.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Turn it off; entries it made end by themselves.")] = False,
    json: Json = False,
) -> None:
    given = {"calls": calls, "minutes": minutes, "block_minutes": block_minutes}
    values = {name: value for name, value in given.items() if value is not None}
    if off and values:
        raise Invalid("off", "goes alone")

    async def work(database: Database) -> dict[str, Any]:
        if not off and not values:
            async with database.read() as session:
                return await velocity.show(session)
        async with database.write() as session:
            if off:
                return await velocity.turn_off(session)
            now = await velocity.show(session)
            return await velocity.change(session, {name: now[name] for name in given if now[name]} | values)

    rule = run(ctx, work)
    if json:
        show.as_json(rule)
    elif rule["enabled"]:
        typer.echo(
            f"{rule['calls']} calls from one number within {rule['minutes']} minutes "
            f"keep it out for {rule['block_minutes']} minutes."
        )
    else:
        typer.echo("Off. Turn it on: dcx suppressions velocity --calls 5 --minutes 10 --block-minutes 60")
