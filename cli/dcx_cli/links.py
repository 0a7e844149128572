"""`attach`, `detach` and the list of what is attached, for campaigns and groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from dcx_ari.services import links
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import parameters, signed, values_of
from dcx_cli.work import run


def add_commands(app: typer.Typer, owner: Resource) -> None:
    if owner.name not in links.LINKS:
        return
    listing = "buyers" if owner.name == "campaigns" else "members"
    app.command("attach", help=f"Attach to a {owner.singular}, or change how.")(_attach(owner))
    app.command("detach", help=f"Detach from a {owner.singular}.")(_detach(owner))
    app.command(listing, help=f"List what is attached to a {owner.singular}.")(_list(owner))


def _link(owner: Resource) -> tuple[Resource, frozenset[str]]:
    name, column = links.LINKS[owner.name]
    return RESOURCES[name], frozenset({column})


def _owner(owner: Resource) -> Any:
    return Annotated[str, typer.Argument(metavar=owner.singular.upper(), help="Id or name.", show_default=False)]


def _list(owner: Resource) -> Callable[..., None]:
    link, _ = _link(owner)

    def command(ctx: typer.Context, json: bool, key: str) -> None:
        async def work(database: Database) -> list[dict[str, Any]]:
            async with database.read() as session:
                return await links.links(session, owner.name, key)

        found = run(ctx, work)
        if json:
            show.as_json(found)
        elif found:
            show.table(found, link.columns)
        else:
            show.note(f"Nothing attached yet. Attach: {link.empty}")

    return signed(command, "key", _owner(owner), [])


def _attach(owner: Resource) -> Callable[..., None]:
    link, own = _link(owner)

    def command(ctx: typer.Context, json: bool, key: str, **given: Any) -> None:
        values = values_of(link, given)

        async def work(database: Database) -> dict[str, Any]:
            async with database.write() as session:
                return await links.attach(session, owner.name, key, values)

        row = run(ctx, work)
        if json:
            show.as_json(row)
        else:
            typer.echo(f"Attached {row['buyer'] or row.get('group')} to {owner.singular} {key}")

    return signed(command, "key", _owner(owner), parameters(link, own, defaults=False))


def _detach(owner: Resource) -> Callable[..., None]:
    link, own = _link(owner)
    skip = own | {name for name in link.writable if name not in link.refs}

    def command(ctx: typer.Context, json: bool, key: str, **given: Any) -> None:
        values = values_of(link, given)

        async def work(database: Database) -> dict[str, Any]:
            async with database.write() as session:
                return await links.detach(session, owner.name, key, values)

        row = run(ctx, work)
        if json:
            show.as_json(row)
        else:
            typer.echo(f"Detached {row['buyer'] or row.get('group')} from {owner.singular} {key}")

    return signed(command, "key", _owner(owner), parameters(link, skip, defaults=False))
