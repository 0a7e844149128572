"""`dcx views`: filters, order and columns of lists, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from dcx_ari.services import views
from dcx_ari.services.errors import Invalid
from dcx_ari.store.db import Database, Session
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run

app = new_app("Saved views: filters, order and columns of lists, by name.")

View = Annotated[str, typer.Argument(metavar="VIEW", help="Name or id.", show_default=False)]
Of = Annotated[str, typer.Option("--of", metavar="KIND", help="Where two kinds have a view of one name.")]
Filters = Annotated[
    list[str] | None, typer.Option("--filter", metavar="KEY=VALUE[,VALUE]", help="Only these; repeatable.")
]
Search = Annotated[str | None, typer.Option(help="Only rows with this text.", show_default=False)]
SortBy = Annotated[str | None, typer.Option(help="Column to sort by.", show_default=False)]
Desc = Annotated[bool | None, typer.Option("--desc/--asc", help="Largest first.", show_default=False)]
Columns = Annotated[str | None, typer.Option(help="Columns to show, in order: name,status,…", show_default=False)]
Shared = Annotated[bool | None, typer.Option("--shared/--own", help="For everybody.", show_default=False)]
_COLUMNS = ("id", "resource", "name", "filters", "search", "sort_by", "visible_columns", "shared", "mine")


@app.command("list")
def list_(
    ctx: typer.Context,
    resource: Annotated[str, typer.Argument(metavar="[KIND]", help="Such as campaigns.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List your views and the shared ones."""
    found = _reading(ctx, lambda session: views.list_views(session, resource))
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note("No views yet. Save one: dcx views add campaigns NAME --filter status=ACTIVE")


@app.command("show")
def show_(ctx: typer.Context, view: View, of: Of = "", json: Json = False) -> None:
    """Show one view."""
    row = _reading(ctx, lambda session: views.get_view(session, view, of))
    (show.as_json if json else show.card)(row)


@app.command()
def add(
    ctx: typer.Context,
    resource: Annotated[str, typer.Argument(metavar="KIND", help="Such as campaigns.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Name of the view.", show_default=False)],
    filters: Filters = None,
    search: Search = None,
    sort_by: SortBy = None,
    desc: Desc = None,
    columns: Columns = None,
    shared: Shared = None,
    json: Json = False,
) -> None:
    """Save a view. Use it with  dcx KIND list --view NAME"""
    values = {"resource": resource, "name": name, **_values(filters, search, sort_by, desc, columns, shared)}
    row = _writing(ctx, lambda session: views.create_view(session, values))
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Saved view {row['id']}: {row['name']}. Use it: dcx {row['resource']} list --view {row['name']!r}")


@app.command("set")
def set_(
    ctx: typer.Context,
    view: View,
    name: Annotated[str | None, typer.Option(help="A new name.", show_default=False)] = None,
    filters: Filters = None,
    search: Search = None,
    sort_by: SortBy = None,
    desc: Desc = None,
    columns: Columns = None,
    shared: Shared = None,
    of: Of = "",
    json: Json = False,
) -> None:
    """Change a view; an empty value clears."""
    values = _values(filters, search, sort_by, desc, columns, shared) | ({"name": name} if name is not None else {})
    if not values:
        raise Invalid("view", "nothing to set: name at least one field, see --help")
    row = _writing(ctx, lambda session: views.change_view(session, view, values, resource=of))
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Changed view {row['id']}: {row['name']}")


@app.command()
def rm(ctx: typer.Context, view: View, of: Of = "", json: Json = False) -> None:
    """Remove a view."""
    row = _writing(ctx, lambda session: views.remove_view(session, view, resource=of))
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Removed view {row['id']}: {row['name']}")


def _values(
    filters: list[str] | None,
    search: str | None,
    sort_by: str | None,
    desc: bool | None,
    columns: str | None,
    shared: bool | None,
) -> dict[str, Any]:
    from dcx_cli.rows import filters_of

    found: dict[str, Any] = {
        "search": search,
        "sort_by": None if sort_by is None else sort_by.replace("-", "_"),
        "sort_desc": desc,
        "shared": shared,
    }
    if filters is not None:
        found["filters"] = filters_of([each for each in filters if each])
    if columns is not None:
        named = [each.strip().replace("-", "_") for each in columns.split(",") if each.strip()]
        found |= {"visible_columns": named, "column_order": named}
    return {name: value for name, value in found.items() if value is not None}


def _reading(ctx: typer.Context, ask: Callable[[Session], Awaitable[Any]]) -> Any:
    async def work(database: Database) -> Any:
        async with database.read() as session:
            return await ask(session)

    return run(ctx, work)


def _writing(ctx: typer.Context, change: Callable[[Session], Awaitable[Any]]) -> Any:
    async def work(database: Database) -> Any:
        async with database.write() as session:
            return await change(session)

    return run(ctx, work)
