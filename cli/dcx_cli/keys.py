"""`dcx keys`: keys for the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.errors import Invalid
from dcx_ari.services.keys import change_key, create_key, list_keys, revoke_key, rotate_key
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run

app = new_app("Keys for the API.")
_COLUMNS = (
    *("id", "name", "prefix", "role", "rate_limit_per_minute", "allowed_ip_ranges", "last_used_at", "last_used_ip"),
    *("expires_at", "revoked_at"),
)

Key = Annotated[str, typer.Argument(help="Id, name or prefix.")]
Rate = Annotated[int | None, typer.Option("--rate-limit", help="Requests a minute; 0: no limit. [default: 60]")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="Address or network it may be used from; repeatable. Else from everywhere."),
]
Expires = Annotated[str | None, typer.Option(help="Until when, such as 2027-01-01T00:00:00Z.", show_default=False)]
Buyer = Annotated[str | None, typer.Option(help="Sees only what belongs to this buyer.", show_default=False)]
Source = Annotated[str | None, typer.Option(help="Sees only what belongs to this traffic source.", show_default=False)]


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    role: Annotated[str, typer.Option(help="admin, manager, agent, viewer, or a role of your own.")] = "admin",
    rate_limit: Rate = None,
    network: Networks = None,
    expires: Expires = None,
    buyer: Buyer = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Make a key. It is shown once: only its hash is kept."""
    fields = _fields(rate_limit, network, expires, buyer, source)

    async def work(database: Database) -> tuple[dict[str, Any], str]:
        async with database.write() as session:
            return await create_key(session, name, role, **fields)

    _show_secret(*run(ctx, work), json=json)


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


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    name: Annotated[str | None, typer.Option(help="Who uses it.", show_default=False)] = None,
    role: Annotated[str | None, typer.Option(help="The new role.", show_default=False)] = None,
    rate_limit: Rate = None,
    network: Networks = None,
    expires: Expires = None,
    buyer: Buyer = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Change a key; an empty value clears."""
    fields = _fields(rate_limit, network, expires, buyer, source)
    fields |= {key: value for key, value in (("name", name), ("role", role)) if value is not None}
    if not fields:
        raise Invalid("key", "nothing to set: name at least one field, see --help")

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await change_key(session, key, fields)

    _show_row("Changed", run(ctx, work), json=json)


@app.command()
def rotate(
    ctx: typer.Context,
    key: Key,
    grace: Annotated[int, typer.Option(metavar="SECONDS", help="How long the old one still works.")] = 0,
    json: Json = False,
) -> None:
    """Give a key a new secret, shown once."""

    async def work(database: Database) -> tuple[dict[str, Any], str]:
        async with database.write() as session:
            return await rotate_key(session, key, grace)

    _show_secret(*run(ctx, work), json=json)


@app.command()
def revoke(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Revoke a key; a running API stops taking it within a second."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await revoke_key(session, key)

    _show_row("Revoked", run(ctx, work), json=json)


def _fields(
    rate_limit: int | None, network: list[str] | None, expires: str | None, buyer: str | None, source: str | None
) -> dict[str, Any]:
    """What was given, by the names of the fields; empty text clears."""
    found: dict[str, Any] = {}
    if rate_limit is not None:
        found["rate_limit_per_minute"] = rate_limit
    if network is not None:
        found["allowed_ip_ranges"] = [part.strip() for text in network for part in text.split(",") if part.strip()]
    for name, text in (("expires_at", expires), ("buyer_id", buyer), ("traffic_source_id", source)):
        if text is not None:
            found[name] = text or None
    return found


def _show_secret(row: dict[str, Any], key: str, *, json: bool) -> None:
    if json:
        show.as_json({**row, "key": key})
        return
    typer.echo(key)
    show.note("Keep it now: it is not shown again. Use it as  Authorization: Bearer KEY")


def _show_row(done: str, row: dict[str, Any], *, json: bool) -> None:
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{done} key {row['id']}: {row['name']}")
