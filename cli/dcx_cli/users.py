"""`dcx users`: who may log in."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from dcx_ari.services import invitations, users
from dcx_ari.services.errors import Invalid
from dcx_ari.services.passwords import check_password, hash_password
from dcx_ari.store.db import Session
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, settings_of, writing

_COLUMNS = ("id", "email", "name", "role", "status", "has_password", "last_login_at")
_INVITED = ("id", "email", "role", "status", "invited_by", "expires_at")

User = Annotated[str, typer.Argument(help="Id or e-mail address.")]
Buyer = Annotated[str | None, typer.Option(help="Sees only what belongs to this buyer.", show_default=False)]
Source = Annotated[str | None, typer.Option(help="Sees only what belongs to this traffic source.", show_default=False)]
RoleOption = Annotated[str, typer.Option(help="admin, manager, agent, viewer, or a role of your own.")]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def build(_name: str) -> typer.Typer:
    app = new_app("Users: people who log in.")
    for name, function in (
        ("list", _list),
        ("show", _show),
        ("add", _add),
        ("set", _set),
        ("rm", _remove),
        ("password", _password),
        ("invite", _invite),
        ("invitations", _invitations),
        ("notifications", _notifications),
    ):
        app.command(name)(function)
    return app


def _list(ctx: typer.Context, json: Json = False) -> None:
    """List users."""
    found = reading(ctx, users.list_users)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note("No users yet. Add one: dcx users add ann@example.com --role manager")


def _show(ctx: typer.Context, user: User, json: Json = False) -> None:
    """Show a user, and what he wants to be told."""

    async def work(session: Session) -> dict[str, Any]:
        row = users.shown(await users.find_user(session, user))
        return {**row, "notifications": await users.preferences(session, user)}

    (show.as_json if json else show.card)(reading(ctx, work))


def _add(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="E-mail address, to log in with.")],
    name: Annotated[str, typer.Option(help="Name.")] = "",
    role: RoleOption = "viewer",
    buyer: Buyer = None,
    source: Source = None,
    password_stdin: FromInput = False,
    json: Json = False,
) -> None:
    """Add a user; without a password he cannot log in yet."""
    hashed = _hashed(email) if password_stdin else None
    fields = {"email": email, "name": name, "role": role, "buyer_id": buyer, "traffic_source_id": source}

    async def work(session: Session) -> dict[str, Any]:
        return await users.create_user(session, fields, password_hash=hashed)

    row = writing(ctx, work)
    _report("Added", row, json=json)
    if hashed is None and not json:
        show.note(f"Note: give a password with  dcx users password {row['email']}")


def _set(
    ctx: typer.Context,
    user: User,
    email: Annotated[str | None, typer.Option(help="E-mail address.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="Name.", show_default=False)] = None,
    role: Annotated[str | None, typer.Option(help="The new role.", show_default=False)] = None,
    status: Annotated[str | None, typer.Option(help="ACTIVE or INACTIVE.", show_default=False)] = None,
    buyer: Buyer = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Change a user; an empty value clears."""
    texts = {"email": email, "name": name, "role": role, "status": status and status.upper()}
    fields: dict[str, Any] = {key: value for key, value in texts.items() if value is not None}
    scopes = {"buyer_id": buyer, "traffic_source_id": source}
    fields |= {key: value or None for key, value in scopes.items() if value is not None}
    if not fields:
        raise Invalid("user", "nothing to set: name at least one field, see --help")

    async def work(session: Session) -> dict[str, Any]:
        return await users.change_user(session, user, fields)

    _report("Changed", writing(ctx, work), json=json)


def _remove(ctx: typer.Context, user: User, json: Json = False) -> None:
    """Remove a user; his logins end."""

    async def work(session: Session) -> dict[str, Any]:
        return await users.remove_user(session, user)

    _report("Removed", writing(ctx, work), json=json)


def _password(ctx: typer.Context, user: User, password_stdin: FromInput = False, json: Json = False) -> None:
    """Give a user a password; his logins end."""
    email = str(reading(ctx, lambda session: users.find_user(session, user)).email)
    hashed = _hashed(email) if password_stdin else _hashed(email, typer.prompt("Password", hide_input=True))

    async def work(session: Session) -> dict[str, Any]:
        return await users.set_password(session, user, hashed)

    _report("Changed the password of", writing(ctx, work), json=json)


def _invite(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="Whom to invite.")],
    role: RoleOption = "viewer",
    buyer: Buyer = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Invite somebody by e-mail; the link is printed too."""
    fields = {"email": email, "role": role, "buyer_id": buyer, "traffic_source_id": source}
    base = settings_of(ctx).public_base

    async def work(session: Session) -> tuple[dict[str, Any], str]:
        return await invitations.invite(session, fields, base)

    row, link = writing(ctx, work)
    if json:
        show.as_json({**row, "accept_url": link})
    else:
        typer.echo(link)
        show.note(f"Invited {row['email']} as {row['role']}, until {row['expires_at']}.")


def _invitations(ctx: typer.Context, json: Json = False) -> None:
    """List invitations."""
    found = reading(ctx, invitations.list_invitations)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _INVITED)
    else:
        show.note("No invitations yet. Invite somebody: dcx users invite ann@example.com --role manager")


def _notifications(
    ctx: typer.Context,
    user: User,
    on: Annotated[list[str] | None, typer.Option("--on", help="Tell this; repeatable.")] = None,
    off: Annotated[list[str] | None, typer.Option("--off", help="Do not tell this; repeatable.")] = None,
    json: Json = False,
) -> None:
    """Show or change what a user wants to be told."""
    changes = {text.replace("-", "_"): value for texts, value in ((on, True), (off, False)) for text in texts or []}

    async def work(session: Session) -> dict[str, Any]:
        return await users.set_preferences(session, user, changes)

    found = writing(ctx, work) if changes else reading(ctx, lambda session: users.preferences(session, user))
    (show.as_json if json else show.card)(found)


def _hashed(email: str, typed: str | None = None) -> str:
    """From the prompt or standard input: never from the command line, where everybody on the machine sees it."""
    password = typed if typed is not None else sys.stdin.readline().rstrip("\r\n")
    check_password(password, email=email)
    return asyncio.run(hash_password(password))


def _report(done: str, row: dict[str, Any], *, json: bool) -> None:
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{done} user {row['id']}: {row['email']}")
