"""`dcx explain`: who got a call, and why nobody else did."""

from __future__ import annotations

from typing import Annotated

import typer

from dcx_ari.services.explain import Kept, differences, explain, kept
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.explained import print_told
from dcx_cli.options import Json
from dcx_cli.work import run


def command(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Id, or its beginning.")],
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Decide again from the stored inputs; exit status 1 if it differs.")
    ] = False,
    json: Json = False,
) -> None:
    """Explain who got a call and why: every candidate, its first failed check, and what became of each attempt."""

    async def work(database: Database) -> Kept:
        async with database.read() as session:
            return await kept(session, call)

    found = run(ctx, work)
    if rerun:
        _rerun(found, as_json=json)
    elif json:
        _ = found.text  # refuses a call without a Decision
        show.as_json(found.stored)
    else:
        print_told(explain(found))


def _rerun(found: Kept, *, as_json: bool) -> None:
    differing = differences(found)
    if as_json:
        show.as_json({"call": found.call["id"], "same": not differing, "differences": differing})
    elif differing:
        typer.echo(f"The stored inputs now give another Decision: {', '.join(differing)} differ.")
    else:
        typer.echo("The stored inputs give the same Decision.")
    if differing:
        raise typer.Exit(1)
