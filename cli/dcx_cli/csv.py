"""`import` and `export` of every kind of row as CSV, and `dcx calls export`."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from dcx_ari.services.errors import Invalid
from dcx_ari.services.export_calls import export_calls
from dcx_ari.services.exporting import export_rows, template_csv
from dcx_ari.services.importing import Report, import_csv
from dcx_ari.services.links import LINKS
from dcx_ari.services.listing import Query
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.views import with_view
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run

_SHOWN = 50
"""So many refused rows are told on the terminal."""

Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", "--where", metavar="KEY=VALUE[,VALUE]", help="Only these; repeatable."),
]
Search = Annotated[str, typer.Option(help="Only rows with this text.", show_default=False)]
SortBy = Annotated[str, typer.Option(help="Column to sort by.")]
Desc = Annotated[bool, typer.Option("--desc", help="Largest first.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of to standard output.")]
ViewName = Annotated[str, typer.Option(help="Begin with a saved view: see dcx views.", show_default=False)]


def add_commands(app: typer.Typer, resource: Resource) -> None:
    """`import` and `export` for a kind of row, and for what is attached to it."""
    app.command("import", help=f"Add or change {resource.name} from a CSV file, each by its key.")(_import(resource))
    app.command("export", help=f"Write {resource.name} as CSV, as the list shows them.")(_export(resource))
    if resource.name in LINKS:
        links = RESOURCES[LINKS[resource.name][0]]
        what = "buyers" if resource.name == "campaigns" else "members"
        told = f"{what} of all {resource.name}"
        app.command(f"import-{what}", help=f"Attach or change {told} from a CSV file.")(_import(links))
        app.command(f"export-{what}", help=f"Write {told} as CSV.")(_export(links))


def _import(resource: Resource) -> Callable[..., None]:
    def command(
        ctx: typer.Context,
        file: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV file; - reads standard input.")] = "",
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would be written.")] = False,
        atomic: Annotated[bool, typer.Option("--atomic", help="All rows, or none if one is refused.")] = False,
        encoding: Annotated[
            str,
            typer.Option(help="Of the file, such as cp1252; else UTF-8, or UTF-16 by its mark.", show_default=False),
        ] = "",
        template: Annotated[bool, typer.Option("--template", help="Print the header to begin with.")] = False,
        json: Json = False,
    ) -> None:
        if template:
            typer.echo(template_csv(resource), nl=False)
            return
        if not file:
            raise Invalid("file", "is required: a CSV file, or - for standard input; --template prints its header")
        with _opened(file) as opened:
            options: dict[str, Any] = {"dry_run": dry_run, "atomic": atomic, "encoding": encoding or None}
            report = run(ctx, lambda database: import_csv(database, resource, opened, **options))
        show.as_json(report.as_json()) if json else _told(report)
        if report.failed:
            raise typer.Exit(1)

    return command


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """The file; what cannot be wound back (a pipe) is copied to a temporary file first."""
    with contextlib.ExitStack() as stack:
        given = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        if name == "-" or not given.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(given, copy)
            copy.seek(0)
            yield copy
        else:
            yield given


def _told(report: Report) -> None:
    for fault in report.errors[:_SHOWN]:
        show.note(f"row {fault.row}: {fault.field}: {fault.rule}")
    if report.failed > _SHOWN:
        show.note(f"… and {report.failed - _SHOWN} more; --json names them")
    made = f"{report.created} added, {report.updated} changed, {report.unchanged} as they were"
    if not report.landed:
        typer.echo(f"Nothing was written: {report.failed} of {report.rows} rows are refused.")
    elif report.dry_run:
        typer.echo(f"Nothing was written (dry run). It would be: {made}, {report.failed} refused.")
    else:
        typer.echo(f"{made}, {report.failed} refused.")


def _export(resource: Resource) -> Callable[..., None]:
    def command(
        ctx: typer.Context,
        filters: Filters = None,
        search: Search = "",
        sort_by: SortBy = "id",
        desc: Desc = False,
        columns: Annotated[
            str, typer.Option(metavar="NAME,NAME", help="Only these columns, in this order.", show_default=False)
        ] = "",
        view: ViewName = "",
        out: Out = None,
    ) -> None:
        query = _query(filters, search, sort_by, view, desc=desc)
        chosen = [name.strip().replace("-", "_") for name in columns.split(",") if name.strip()]
        rows = partial(export_rows, resource=resource, columns=chosen)
        _write(ctx, resource.name, query, lambda database, whole: rows(database, query=whole), out)

    return command


def export_log(
    ctx: typer.Context,
    filters: Filters = None,
    search: Search = "",
    sort_by: SortBy = "started_at",
    desc: Annotated[bool, typer.Option("--desc/--asc", help="Newest or largest first, or last.")] = True,
    view: ViewName = "",
    out: Out = None,
) -> None:
    """Write calls as CSV: all that the filters match, newest first."""
    query = _query(filters, search, sort_by, view, desc=desc)
    _write(ctx, "calls", query, export_calls, out)


def _query(filters: list[str] | None, search: str, sort_by: str, view: str, *, desc: bool) -> Query:
    from dcx_cli.rows import filters_of

    return Query(filters_of(filters or []), search, sort_by.replace("-", "_"), desc, view=view)


def _write(
    ctx: typer.Context,
    kind: str,
    query: Query,
    parts: Callable[[Database, Query], AsyncIterator[bytes]],
    out: Path | None,
) -> None:
    """Write the parts as they come; a file is there only once the first part could be made."""

    async def work(database: Database) -> None:
        async with database.read() as session:
            whole = await with_view(session, kind, query)
        target: IO[bytes] | None = None
        try:
            async for part in parts(database, whole):
                target = target or (out.open("wb") if out is not None else sys.stdout.buffer)
                target.write(part)
        finally:
            if target is not None:
                target.flush()
                if out is not None:
                    target.close()

    run(ctx, work)
