"""`dcx audit`: who changed what."""

from __future__ import annotations

import json as json_of
from dataclasses import asdict
from typing import Annotated, Any

import typer

from dcx_ari.services.audit_log import Verdict, list_entries, verify
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run

app = new_app("Who changed what, and whether the log of it is whole.")
_COLUMNS = ("id", "created_at", "who", "action", "resource", "changes")
_WIDEST = 80


@app.command("list")
def list_(
    ctx: typer.Context,
    user: Annotated[str, typer.Option(help="By this user: id or e-mail address.", show_default=False)] = "",
    actor: Annotated[
        str, typer.Option(help="key, user, cli or system; or key:web, cli:root.", show_default=False)
    ] = "",
    action: Annotated[str, typer.Option(help="Such as campaign.created or campaign.*", show_default=False)] = "",
    resource: Annotated[str, typer.Option(help="Such as campaign or campaign:5.", show_default=False)] = "",
    from_: Annotated[str, typer.Option("--from", help="Not before this date (UTC) or time.", show_default=False)] = "",
    to: Annotated[str, typer.Option(help="Before this date or time.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(help="Most entries, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """List changes, newest first."""
    given = {"action": action, "resource": resource, "from": from_, "to": to}
    filters = {name: [value] for name, value in given.items() if value}
    if who := [*([f"user:{user}"] if user else []), *([actor] if actor else [])]:
        filters["actor"] = who

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return (await list_entries(session, Query(filters, limit=limit))).items

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table([_line(each) for each in found], _COLUMNS)
    else:
        show.note("No changes match." if filters else "No changes yet.")


@app.command("verify")
def verify_(
    ctx: typer.Context,
    contains: Annotated[
        str | None, typer.Option(metavar="HASH", help="This hash, noted earlier, must be in it.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check that no entry is missing or altered; exit status 1 if one is."""

    async def work(database: Database) -> Verdict:
        return await verify(database, contains)

    found = run(ctx, work)
    if json:
        show.as_json(asdict(found))
    elif found.broken_at is not None:
        typer.echo(f"Entry {found.broken_at} {found.reason}: the {found.entries} before it are as they were written.")
    else:
        typer.echo(f"{found.entries} entries, none missing or altered. Newest hash: {found.head}")
        if not found.seen:
            typer.echo(f"But {contains} is not among them: the log is not the one that it was noted from.")
    if found.broken_at is not None or not found.seen:
        raise typer.Exit(1)


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    actor = entry["actor"]
    changes = {side: values for side, values in entry["changes"].items() if values}
    text = json_of.dumps(changes, ensure_ascii=False) if changes else ""
    return {
        **entry,
        "who": f"{actor['kind']} {actor['name']}" + (f" ({entry['ip_address']})" if entry["ip_address"] else ""),
        "resource": f"{entry['resource_type']} {entry['resource_id'] or ''}".strip(),
        "changes": text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…",
    }
