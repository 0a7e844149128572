"""`dcx campaigns bulk pause A B C`: many rows at once, named one by one, on standard input, or by what they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dcx_ari.services import bulk
from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import Resource
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run

_COLUMNS = ("given", "short_id", "result")


def add_command(app: typer.Typer, resource: Resource) -> None:
    actions = ", ".join(bulk.actions_of(resource))
    app.command("bulk", help=f"Many {resource.name} at once: {actions}.")(_bulk(resource))


def _bulk(resource: Resource) -> Callable[..., None]:
    def command(
        ctx: typer.Context,
        action: Annotated[str, typer.Argument(help="pause, activate or delete.", show_default=False)],
        keys: Annotated[
            list[str] | None, typer.Argument(help="Ids, short ids or names; - reads them, one a line.")
        ] = None,
        where: Annotated[
            list[str] | None, typer.Option(metavar="KEY=VALUE[,VALUE]", help="All that match, as in list --filter.")
        ] = None,
        reason: Annotated[str | None, typer.Option(help="Why; kept in the audit log.", show_default=False)] = None,
        atomic: Annotated[bool, typer.Option("--atomic", help="All of them, or none.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which rows are meant.")] = False,
        json: Json = False,
    ) -> None:
        named = _named(keys or [])
        if bool(named) == bool(where):
            raise Invalid(bulk.ids_field(resource), "name the rows, or say --where: one of the two")

        async def work(database: Database) -> dict[str, Any]:
            meant = await _matching(database, resource, where) if where else named
            return await _carry_out(database, resource, action, meant, reason, atomic=atomic, dry_run=dry_run)

        result = run(ctx, work)
        if json:
            show.as_json(result)
        else:
            _report(resource, result, dry_run=dry_run)
        if result["failed"]:
            raise typer.Exit(1)

    return command


def _named(keys: list[str]) -> list[str]:
    """Standard input in the place of `-`."""
    found: list[str] = []
    for key in keys:
        found += [line.strip() for line in sys.stdin if line.strip()] if key == "-" else [key]
    return found


async def _carry_out(
    database: Database,
    resource: Resource,
    action: str,
    keys: list[str],
    reason: str | None,
    *,
    atomic: bool,
    dry_run: bool,
) -> dict[str, Any]:
    if not keys:
        return {"action": action, "atomic": atomic, "succeeded": 0, "failed": 0, "results": []}
    order = bulk.order(resource, action, keys, reason=reason, atomic=atomic)
    try:
        return await bulk.carry_out(database, resource, order, dry_run=dry_run)
    except bulk.NotAll as error:
        counts = {"succeeded": 0, "failed": sum(not each["ok"] for each in error.results)}
        return {"action": action, "atomic": True, **counts, "results": error.results}


async def _matching(database: Database, resource: Resource, where: list[str]) -> list[str]:
    from dcx_cli.rows import filters_of

    async with database.read() as session:
        query = Query(filters_of(where), limit=bulk.MOST)
        page = await list_rows(session, resource, query)
    if page.next_cursor is not None:
        raise Invalid("where", f"matches {page.total} {resource.name}: at most {bulk.MOST} go at once")
    return [str(row["id"]) for row in page.items]


def _report(resource: Resource, result: dict[str, Any], *, dry_run: bool) -> None:
    if not result["results"]:
        show.note(f"No {resource.name} match.")
        return
    good = f"would {result['action']}" if dry_run else "ok" if not _undone(result) else "not changed"
    rows = [{**each, "result": good if each["ok"] else each["error"]["message"]} for each in result["results"]]
    show.table(rows, _COLUMNS)
    if _undone(result):
        show.note(f"Nothing was changed: {result['failed']} of {len(rows)} were refused.")
    else:
        show.note(f"{result['succeeded']} {'would be changed' if dry_run else 'changed'}, {result['failed']} refused.")


def _undone(result: dict[str, Any]) -> bool:
    return bool(result["atomic"] and result["failed"])
