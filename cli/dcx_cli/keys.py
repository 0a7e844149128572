"""`dcx keys`: keys for the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.keys import create_key, list_keys, revoke_key
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run

app = new_app("Keys for the API.")
_COLUMNS = ("id", "name", "prefix", "role", "created_at", "last_used_at", "revoked_at")


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    role: Annotated[str, typer.Option(help="admin, manager, agent or viewer.")] = "admin",
    json: Json = False,
) -> None:
    """Make a key. It is shown once: only its hash is kept."""

    async def work(database: Database) -> tuple[dict[str, Any], str]:
        async with database.write() as session:
            return await create_key(session, name, role)

    row, key = run(ctx, work)
    if json:
        show.as_json({**row, "key": key})
        return
    typer.echo(key)
    show.note("Keep it now: it is not shown again. Use it as  Authorization: Bearer KEY")


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List keys."""

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await list_keys(session)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note("No keys yet. Make one: dcx keys create NAME")


@app.command()
def revoke(
    ctx: typer.Context, key: Annotated[str, typer.Argument(help="Id, name or prefix.")], json: Json = False
) -> None:
    """Revoke a key; it stops working at once."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await revoke_key(session, key)

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Revoked key {row['id']}: {row['name']}")
