"""`dcx flows draw`: a picture of a flow, and how many callers went which way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import flow_pictures, flow_versions
from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Invalid
from dcx_ari.services.publishing import read_text
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.flow_files import is_file, text_of
from dcx_cli.work import run, settings_of


def add_commands(app: typer.Typer) -> None:
    app.command("draw", help="Draw a flow as SVG or Mermaid, with or without the callers on each way.")(_draw)


def _draw(
    ctx: typer.Context,
    flow: Annotated[
        str, typer.Argument(metavar="FLOW|FILE", help="A flow, or a file that ends in .yaml, .yml, .json.")
    ],
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the SVG here; else it is printed.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid's text.")] = False,
    version: Annotated[str, typer.Option(metavar="N|draft", help="Which version; else the newest.")] = "",
    counts: Annotated[str, typer.Option(metavar="yesterday", help="With the callers of yesterday.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="DAY|TIME", help="With the callers from here on.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="DAY|TIME", help="To here; a day counts whole.")] = "",
) -> None:
    if mermaid and svg is not None:
        raise Invalid("mermaid", "is printed: leave --svg out")
    span = _span(ctx, counts, since, until)
    if is_file(flow):
        if span or version:
            raise Invalid("flow", "a file has neither versions nor callers: name a flow")
        document, title, found = flow_pictures.document_of(read_text(text_of(Path(flow)))), Path(flow).name, None
    else:
        document, title, found = run(ctx, lambda database: _stored(database, flow, version, span))

    async def draw(_database: Database) -> str:
        return await flow_pictures.drawn(document, found, title, as_mermaid=mermaid)

    picture = run(ctx, draw)
    if svg is None:
        typer.echo(picture, nl=False)
    else:
        svg.write_text(picture, "utf-8")
        show.note(f"Wrote {svg}.")


async def _stored(
    database: Database, flow: str, version: str, span: tuple[int, int] | None
) -> tuple[flow_pictures.Document, str, flow_pictures.Counts | None]:
    async with database.read() as session:
        side = flow_versions.side_of(version, "version") if version else None
        shown = await flow_versions.drawable(session, flow, side)
        counts = None if span is None else await flow_pictures.counts_of(session, flow, *span)
    return flow_pictures.document_of(shown["document"]), shown["flow"], counts


def _span(ctx: typer.Context, counts: str, since: str, until: str) -> tuple[int, int] | None:
    zone = ZoneInfo(settings_of(ctx).timezone)
    if counts:
        if counts != "yesterday" or since or until:
            raise Invalid("counts", "is yesterday, or leave it out and say --from and --to")
        return flow_pictures.yesterday(now_ms(), zone)
    if until and not since:
        raise Invalid("to", "goes with --from")
    return (instant_of("from", since, zone), instant_of("to", until or since, zone, end=True)) if since else None
