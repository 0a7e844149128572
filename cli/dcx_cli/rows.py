"""`list|show|add|set|rm|copy|pause|resume` for every kind of row, made from the table of resources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from dcx_ari.services import rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.filters import values_in
from dcx_ari.services.hints import hints
from dcx_ari.services.listing import MAX_LIMIT, Query, list_rows
from dcx_ari.services.parse import suggest
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.usage import LIMITS
from dcx_ari.services.views import columns_of, with_view
from dcx_ari.store.db import Database
from dcx_cli import bulk, csv, extras, links, show, templates
from dcx_cli.main import new_app
from dcx_cli.options import Json, parameters, signed, values_of
from dcx_cli.work import run

Key = Annotated[str, typer.Argument(help="Id, short id or name.", show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the audit log.", show_default=False)]
IF_VERSION = inspect.Parameter(
    "if_version",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        int | None, typer.Option(help="Only if the row is still of this version.", show_default=False)
    ],
)


def build(name: str) -> typer.Typer:
    """The group of commands for the resource `name`."""
    resource = RESOURCES[name]
    app = new_app(resource.help)
    one = resource.singular
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("list", _list(resource), f"List {resource.name}."),
        ("show", _show(resource), f"Show one {one}."),
        ("add", _add(resource), f"Add a {one}."),
        ("set", _set(resource), f"Change fields of a {one}; an empty value clears."),
        ("rm", _act(resource, rows.remove, "Removed"), f"Remove a {one}."),
    ]
    if resource.key == "name":
        commands.append(("copy", _act(resource, rows.copy, "Made"), f"Copy a {one}: inactive, under a new name."))
    if resource.pausable:
        pause, resume = partial(rows.set_paused, paused=True), partial(rows.set_paused, paused=False)
        commands.append(("pause", _act(resource, pause, "Paused"), f"Pause a {one}: no new calls."))
        commands.append(("resume", _act(resource, resume, "Resumed"), f"Resume a {one}."))
    for command, function, text in commands:
        app.command(command, help=text)(function)
    bulk.add_command(app, resource)
    links.add_commands(app, resource)
    csv.add_commands(app, resource)
    templates.add_commands(app, resource)
    extras.add_commands(app, name)
    return app


def filters_of(pairs: Sequence[str]) -> dict[str, list[str]]:
    """`status=ACTIVE,INACTIVE` … as filters. Raises Invalid."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise Invalid("filter", f"must look like status=ACTIVE, not {pair!r}")
        found.setdefault(key.strip().replace("-", "_"), []).extend(values_in(text))
    return found


def _list(resource: Resource) -> Callable[..., None]:
    def command(
        ctx: typer.Context,
        json: Json = False,
        filters: Annotated[
            list[str] | None, typer.Option("--filter", metavar="KEY=VALUE[,VALUE]", help="Only these; repeatable.")
        ] = None,
        search: Annotated[str, typer.Option(help="Only rows with this text.", show_default=False)] = "",
        sort_by: Annotated[str, typer.Option(help="Column to sort by.")] = "id",
        desc: Annotated[bool, typer.Option("--desc", help="Largest first.")] = False,
        limit: Annotated[int | None, typer.Option(help=f"Most rows, up to {MAX_LIMIT}; else all.")] = None,
        columns: Annotated[
            str, typer.Option(metavar="NAME,NAME", help="Columns to show; id and more by default.", show_default=False)
        ] = "",
        view: Annotated[str, typer.Option(help="Begin with a saved view: see dcx views.", show_default=False)] = "",
    ) -> None:
        wanted = filters_of(filters or [])
        query = Query(wanted, search, sort_by.replace("-", "_"), desc, limit, view=view)

        async def work(database: Database) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
            async with database.read() as session:
                seen = await columns_of(session, resource.name, view) if view else ()
                whole = await with_view(session, resource.name, query)
                found = (await list_rows(session, resource, whole)).items
                return found, chosen(columns, found) or seen or ("short_id", *resource.columns)

        found, seen = run(ctx, work)
        if json:
            show.as_json(found)
        elif found:
            show.table(as_cells(found), seen)
        elif wanted or search or view:
            show.note(f"No {resource.name} match.")
        else:
            show.note(f"No {resource.name} yet. Add one: {resource.empty}")

    return command


def chosen(columns: str, found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns that were asked for. Raises Invalid for one that the rows do not have."""
    wanted = tuple(name.replace("-", "_") for name in values_in(columns))
    for name in wanted:
        if found and name not in found[0]:
            raise Invalid("columns", f"{name!r} is not a column{suggest(name, found[0])}")
    return wanted


def as_cells(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for a table: limits with what of them is used (`3 / 50`, `0 / ∞`), and the caps that are reached."""
    return [{**row, **_caps(row), **_maxed(row)} for row in found]


def as_card(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row, what is used beside its limit and not once more by itself."""
    (shown,) = as_cells([row])
    return {name: value for name, value in shown.items() if name not in {*LIMITS.values(), "maxed_by"}}


def _caps(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: _used(row, name) for name, used in LIMITS.items() if used in row and name in row}


def _used(row: Mapping[str, Any], limit: str) -> str:
    used = show.cell(LIMITS[limit], row[LIMITS[limit]])
    return f"{used} / {'∞' if row[limit] is None else show.cell(limit, row[limit])}"


def _maxed(row: Mapping[str, Any]) -> dict[str, Any]:
    if "maxed_by" not in row:
        return {}
    caps = ", ".join(each["cap"].removeprefix("cap.") for each in row["maxed_by"])
    return {"maxed_out": f"MAXED OUT: {caps}" if caps else None}


def _show(resource: Resource) -> Callable[..., None]:
    def command(ctx: typer.Context, key: Key, json: Json = False) -> None:
        async def work(database: Database) -> dict[str, Any]:
            async with database.read() as session:
                return await rows.get(session, resource, key)

        row = run(ctx, work)
        if json:
            show.as_json(row)
        else:
            show.card(as_card(row))

    return command


def _add(resource: Resource) -> Callable[..., None]:
    first = resource.argument
    field = resource.fields.model_fields[first]

    def command(ctx: typer.Context, json: bool, template: str | None = None, **given: Any) -> None:
        values = {first: given.pop(first), **values_of(resource, given)}
        values = templates.filled(ctx, resource, values, template)

        async def work(database: Database) -> tuple[dict[str, Any], list[str]]:
            async with database.write() as session:
                row = await rows.create(session, resource, values)
                return row, await hints(session, resource, row)

        _report(resource, "Added", run(ctx, work), json=json)

    argument = Annotated[str, typer.Argument(help=field.description, show_default=False)]
    options = [*parameters(resource, frozenset({first}), defaults=True), *templates.options(resource)]
    return signed(command, first, argument, options)


def _set(resource: Resource) -> Callable[..., None]:
    def command(ctx: typer.Context, json: bool, key: str, if_version: int | None = None, **given: Any) -> None:
        values = values_of(resource, given)
        if not values:
            raise Invalid(resource.singular, "nothing to set: name at least one field, see --help")

        async def work(database: Database) -> tuple[dict[str, Any], list[str]]:
            async with database.write() as session:
                row = await rows.change(session, resource, key, values, version=if_version)
                return row, await hints(session, resource, row)

        _report(resource, "Changed", run(ctx, work), json=json)

    return signed(command, "key", Key, [*parameters(resource, frozenset(), defaults=False), IF_VERSION])


def _act(resource: Resource, action: Callable[..., Any], done: str) -> Callable[..., None]:
    def command(ctx: typer.Context, key: Key, reason: Reason = None, json: Json = False) -> None:
        async def work(database: Database) -> dict[str, Any]:
            async with database.write() as session:
                row: dict[str, Any] = await action(session, resource, key, reason=reason)
                return row

        _report(resource, done, (run(ctx, work), []), json=json)

    return command


def _report(resource: Resource, done: str, result: tuple[dict[str, Any], list[str]], *, json: bool) -> None:
    row, advice = result
    if json:
        show.as_json(row)
    else:
        name = row.get(resource.key) if resource.key else row.get(resource.argument)
        typer.echo(f"{done} {resource.singular} {row['id']}: {name}")
    for text in advice:
        show.note(f"Note: {text}")
