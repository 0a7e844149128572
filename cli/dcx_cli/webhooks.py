"""`dcx webhooks`: where events are sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services import outbox, webhooks
from dcx_ari.services.errors import Invalid
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

app = new_app("Webhooks: where events are sent.")
_COLUMNS = ("id", "url", "events", "format", "status", "failing_since", "description")
_SENT = ("id", "event", "state", "attempts", "created_at", "last_status", "last_error")

Key = Annotated[str, typer.Argument(help="Id of the webhook.", show_default=False)]
Events = Annotated[
    str | None, typer.Option(help="Events with commas, such as call.completed; * for all.", show_default=False)
]
Description = Annotated[str | None, typer.Option(help="What it is for.", show_default=False)]


@app.command()
def add(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to post: https://… or http://…", show_default=False)],
    events: Events = None,
    kind: Annotated[str, typer.Option("--format", help="standard (Standard Webhooks) or slack.")] = "standard",
    description: Description = None,
    secret: Annotated[
        str | None, typer.Option(help="A whsec_… secret of your own; else one is made.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Add a webhook. Its secret is shown once."""
    if events is None:
        raise Invalid("events", "name at least one, or *: --events call.completed; dcx webhooks events lists them")
    targets = webhooks.targets_of(settings_of(ctx).webhook_allow)

    async def work(database: Database) -> tuple[dict[str, Any], str | None]:
        checked = await webhooks.safe_url(targets, url)
        async with database.write() as session:
            return await webhooks.create(
                session, checked, _split(events), kind=kind, description=description or "", secret=secret
            )

    _show_secret(*run(ctx, work), json=json)


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List webhooks."""

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await webhooks.list_endpoints(session)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _COLUMNS)
    else:
        show.note("No webhooks yet. Add one: dcx webhooks add https://example.com/hook --events call.completed")


@app.command("show")
def show_(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Show a webhook."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await webhooks.get(session, key)

    (show.as_json if json else show.card)(run(ctx, work))


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    url: Annotated[str | None, typer.Option(help="Where to post.", show_default=False)] = None,
    events: Events = None,
    description: Description = None,
    json: Json = False,
) -> None:
    """Change a webhook."""
    data: dict[str, Any] = {
        name: value
        for name, value in (("url", url), ("events", events and _split(events)), ("description", description))
        if value is not None
    }
    if not data:
        raise Invalid("webhook", "nothing to set: name at least one field, see --help")
    targets = webhooks.targets_of(settings_of(ctx).webhook_allow)

    async def work(database: Database) -> dict[str, Any]:
        if url is not None:
            data["url"] = await webhooks.safe_url(targets, url)
        async with database.write() as session:
            return await webhooks.change(session, key, data)

    _done("Changed", run(ctx, work), json=json)


@app.command()
def rotate(
    ctx: typer.Context,
    key: Key,
    grace_s: Annotated[
        int, typer.Option("--grace-s", help="Seconds for which the old secret signs too.")
    ] = webhooks.GRACE_S,
    json: Json = False,
) -> None:
    """A new secret. It is shown once; both sign until the old one ends."""

    async def work(database: Database) -> tuple[dict[str, Any], str]:
        async with database.write() as session:
            return await webhooks.rotate(session, key, grace_s)

    _show_secret(*run(ctx, work), json=json)


@app.command("test")
def send_test(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Send a test event."""

    async def work(database: Database) -> str:
        async with database.write() as session:
            return await webhooks.send_test(session, key)

    message_id = run(ctx, work)
    if json:
        show.as_json({"id": message_id})
        return
    typer.echo(message_id)
    show.note(f"The running engine sends it. What became of it: dcx outbox show {message_id}")


@app.command()
def deliveries(
    ctx: typer.Context,
    key: Key,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    json: Json = False,
) -> None:
    """List what was sent to a webhook, newest first."""

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            row = await webhooks.get(session, key)
            filters = {"endpoint_id": [str(row["id"])]}
            return (await outbox.list_messages(session, filters, limit=limit)).items

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _SENT)
    else:
        show.note(f"Nothing yet. Try it: dcx webhooks test {key}")


@app.command()
def pause(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Pause a webhook: what waits for it waits on."""
    _set_paused(ctx, key, True, json)


@app.command()
def resume(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Resume a webhook."""
    _set_paused(ctx, key, False, json)


@app.command()
def rm(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Remove a webhook."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await webhooks.remove(session, key)

    _done("Removed", run(ctx, work), json=json)


@app.command()
def events(json: Json = False) -> None:
    """List the events that can be sent."""
    found = webhooks.list_events()
    if json:
        show.as_json(found)
    else:
        show.table(found, ("event", "help"))


def _set_paused(ctx: typer.Context, key: str, paused: bool, json: bool) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await webhooks.set_paused(session, key, paused)

    _done("Paused" if paused else "Resumed", run(ctx, work), json=json)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _done(what: str, row: dict[str, Any], *, json: bool) -> None:
    if json:
        show.as_json(row)
    else:
        typer.echo(f"{what} webhook {row['id']}: {row['url']}")


def _show_secret(row: dict[str, Any], secret: str | None, *, json: bool) -> None:
    if json:
        show.as_json({**row, "secret": secret})
        return
    if secret is None:
        typer.echo(f"Added webhook {row['id']}: {row['url']}")
        return
    typer.echo(secret)
    show.note(f"The secret of webhook {row['id']}. Keep it now: it is not shown again.")
