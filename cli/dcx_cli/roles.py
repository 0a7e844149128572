"""`dcx roles`, `dcx company`: what roles may do, how dates are written."""

from __future__ import annotations

from typing import Annotated

import typer

from dcx_ari.services import company, roles
from dcx_ari.services.errors import Invalid
from dcx_ari.services.permissions import FIXED, known
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, settings_of, writing


def build(name: str) -> typer.Typer:
    return {"roles": _roles, "company": _company}[name]()


def _roles() -> typer.Typer:
    app = new_app("Roles: what keys and users may do.")
    for name, function in (
        ("list", _list_roles),
        ("permissions", _permissions),
        ("add", _add_role),
        ("set", _set_role),
        ("rm", _remove_role),
    ):
        app.command(name)(function)
    return app


def _company() -> typer.Typer:
    app = new_app("How the company writes dates and money.")
    app.command("show")(_show_company)
    app.command("set")(_set_company)
    return app


def _list_roles(ctx: typer.Context, json: Json = False) -> None:
    """List roles and what they may do."""
    found = reading(ctx, roles.list_roles)
    if json:
        show.as_json(found)
    else:
        show.table(found, ("name", "built_in", "permissions"))


def _permissions(json: Json = False) -> None:
    """List what a role can be given."""
    found = [{"name": name, "about": FIXED.get(name, "")} for name in sorted(known())]
    if json:
        show.as_json(found)
    else:
        show.table(found, ("name", "about"))


Patterns = Annotated[list[str], typer.Argument(help="Such as calls.view campaigns.*")]


def _add_role(ctx: typer.Context, name: str, permissions: Patterns, json: Json = False) -> None:
    """Make a role of your own."""
    row = writing(ctx, lambda session: roles.create_role(session, name, permissions))
    show.as_json(row) if json else typer.echo(f"Added role {name}: {', '.join(row['permissions'])}")


def _set_role(ctx: typer.Context, name: str, permissions: Patterns, json: Json = False) -> None:
    """Change all that a role may do."""
    row = writing(ctx, lambda session: roles.change_role(session, name, permissions))
    show.as_json(row) if json else typer.echo(f"Changed role {name}: {', '.join(row['permissions'])}")


def _remove_role(ctx: typer.Context, name: str) -> None:
    """Remove a role that nobody has."""
    writing(ctx, lambda session: roles.remove_role(session, name))
    typer.echo(f"Removed role {name}")


def _show_company(ctx: typer.Context, json: Json = False) -> None:
    """Show zone, dates, currency and locale."""
    zone = settings_of(ctx).timezone
    found = reading(ctx, lambda session: company.company(session, zone))
    (show.as_json if json else show.card)(found)


def _set_company(
    ctx: typer.Context,
    date_format: Annotated[str | None, typer.Option(help=f"One of {', '.join(company.DATE_FORMATS)}.")] = None,
    locale: Annotated[str | None, typer.Option(help="Such as en-US.")] = None,
    json: Json = False,
) -> None:
    """Change how dates are written."""
    zone, given = settings_of(ctx).timezone, {"date_format": date_format, "locale": locale}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise Invalid("company", "nothing to set: name at least one field, see --help")
    found = writing(ctx, lambda session: company.set_company(session, zone, changes))
    (show.as_json if json else show.card)(found)
