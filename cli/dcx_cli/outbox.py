"""`dcx outbox`: what is told to the outside, and what still waits."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services import outbox
from dcx_ari.services.errors import Invalid
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run

app = new_app("The outbox: webhooks, mails and Slack messages on their way out.")
_COLUMNS = ("id", "kind", "event", "call_id", "state", "attempts", "created_at", "next_at", "last_error")

Message = Annotated[str, typer.Argument(help="Id of the message: msg_…", show_default=False)]


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="pending, delivered, dead or discarded.", show_default=False)
    ] = None,
    kind: Annotated[str | None, typer.Option(help="webhook, email or slack.", show_default=False)] = None,
    event: Annotated[str | None, typer.Option(help="Such as call.completed.", show_default=False)] = None,
    webhook: Annotated[int | None, typer.Option(help="Id of a webhook.", show_default=False)] = None,
    call: Annotated[str | None, typer.Option(help="Id of a call.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    json: Json = False,
) -> None:
    """List messages, newest first."""
    asked = {"state": state, "kind": kind, "event": event, "endpoint_id": webhook, "call_id": call}
    filters = {name: [str(value)] for name, value in asked.items() if value is not None}

    async def work(database: Database) -> tuple[list[dict[str, Any]], dict[str, int]]:
        async with database.read() as session:
            return (await outbox.list_messages(session, filters, limit=limit)).items, await outbox.counts(session)

    found, counts = run(ctx, work)
    if json:
        show.as_json(found)
        return
    if found:
        show.table(found, _COLUMNS)
    show.note("All messages: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@app.command("show")
def show_(ctx: typer.Context, message: Message, json: Json = False) -> None:
    """Show a message, its content and every attempt."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await outbox.get(session, message)

    row = run(ctx, work)
    if json:
        show.as_json(row)
        return
    tries = row.pop("tries")
    show.card(row)
    if tries:
        show.table(tries, ("at", "took_ms", "status", "error", "answer"))


@app.command()
def retry(
    ctx: typer.Context,
    message: Annotated[str | None, typer.Argument(help="Id of the message: msg_…", show_default=False)] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that are dead.")] = False,
    webhook: Annotated[int | None, typer.Option(help="With --dead: of this webhook only.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Send a message again, whatever became of it: same id, same content."""
    if (message is None) == (not dead):
        raise Invalid("message", "give either the id of a message or --dead")

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            if message is not None:
                return await outbox.retry(session, message)
            return {"messages": await outbox.retry_dead(session, endpoint_id=webhook)}

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Sending again: {row['id'] if message is not None else row['messages']}")


@app.command()
def discard(ctx: typer.Context, message: Message, json: Json = False) -> None:
    """Never send a message."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.write() as session:
            return await outbox.discard(session, message)

    row = run(ctx, work)
    if json:
        show.as_json(row)
    else:
        typer.echo(f"Discarded {row['id']}")
