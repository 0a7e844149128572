"""`dcx flows publish|rollback|versions|show|diff`: drafts and numbered versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.services import flow_versions, rows
from dcx_ari.services.publishing import NotPublished
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.flow_files import text_of
from dcx_cli.options import Json
from dcx_cli.work import run

Flow = Annotated[str, typer.Argument(metavar="FLOW", help="Id, short id or name.", show_default=False)]
Note = Annotated[str, typer.Option(help="What was changed, and why; kept with the version.", show_default=False)]
_COLUMNS = ("number", "active", "published_at", "published_by", "note")


def add_commands(app: typer.Typer) -> None:
    app.command("publish", help="Make the draft, or a file, the version that calls run.")(_publish)
    app.command("rollback", help="Publish an earlier version once more, as a new one.")(_roll_back)
    app.command("versions", help="List the versions of a flow, newest first.")(_versions)
    app.command("show", help="Show one flow, or the text of a version.")(_show)
    app.command("diff", help="What has changed between two versions; else since the draft was published.")(_diff)


def _publish(
    ctx: typer.Context,
    flow: Flow,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A document that becomes draft and version.")
    ] = None,
    note: Note = "",
    json: Json = False,
) -> None:
    source = None if file is None else text_of(file)

    async def work(database: Database) -> flow_versions.Published:
        async with database.write() as session:
            return await flow_versions.publish(session, flow, source=source, note=note)

    _told(ctx, work, str(file) if file else "", json=json)


def _roll_back(
    ctx: typer.Context,
    flow: Flow,
    to: Annotated[int | None, typer.Option(metavar="N", help="Which version; else the one before the newest.")] = None,
    note: Note = "",
    json: Json = False,
) -> None:
    number = None if to is None else flow_versions.number_of(to, "to")

    async def work(database: Database) -> flow_versions.Published:
        async with database.write() as session:
            return await flow_versions.roll_back(session, flow, number, note=note)

    _told(ctx, work, "", json=json)


def _told(ctx: typer.Context, work: Any, file: str, *, json: bool) -> None:
    """What was published; or every problem with its place, and exit status 2."""
    try:
        made = run(ctx, work)
    except NotPublished as error:
        if json:
            show.as_json(error.as_json())
        else:
            for problem in error.problems:
                typer.echo(problem.line(file))
            show.note("Nothing was published.")
        raise typer.Exit(2) from None
    if json:
        show.as_json(made.as_json())
        return
    for problem in made.warnings:
        show.note(problem.line(file))
    typer.echo(f"Published {made.version['flow']}: version {made.version['number']}")


def _versions(ctx: typer.Context, flow: Flow, json: Json = False) -> None:
    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await flow_versions.versions(session, flow)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note(f"Never published. Do it: dcx flows publish {flow}")


def _show(
    ctx: typer.Context,
    flow: Flow,
    version: Annotated[str, typer.Option(metavar="N|draft", help="The text of this version.", show_default=False)] = "",
    json: Json = False,
) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            if version:
                return await flow_versions.show(session, flow, flow_versions.side_of(version, "version"))
            return await rows.get(session, RESOURCES["flows"], flow)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif version:
        typer.echo(found["source"], nl=False)
    else:
        show.card(found)


def _diff(
    ctx: typer.Context,
    flow: Flow,
    old: Annotated[str, typer.Argument(metavar="[A]", help="A version's number; else the newest.")] = "",
    new: Annotated[str, typer.Argument(metavar="[B]", help="A version's number; else the draft.")] = "",
) -> None:
    sides = [flow_versions.side_of(text, name) if text else None for name, text in (("a", old), ("b", new))]

    async def work(database: Database) -> str:
        async with database.read() as session:
            return await flow_versions.diff(session, flow, *sides)

    found = run(ctx, work)
    typer.echo(found, nl=False)
    if not found:
        show.note("No difference.")
