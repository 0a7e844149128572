"""`dcx callbacks`: calls that somebody has to make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import callbacks
from dcx_ari.services.callback_list import list_callbacks
from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import Page, Query
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, writing

app = new_app("Callbacks: calls that somebody has to make.")
Key = Annotated[str, typer.Argument(help="Id of the callback.", show_default=False)]
_LIST = ("id", "due_at", "phone_number", "priority", "status", "overdue", "assigned_to", "campaign", "call_id", "notes")


@app.command("list")
def list_(
    ctx: typer.Context,
    status: Annotated[str, typer.Option(help="Such as pending,in-progress.", show_default=False)] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what should have been done by now.")] = False,
    assigned_to: Annotated[str, typer.Option(help="Whose; none: nobody's.", show_default=False)] = "",
    priority: Annotated[str, typer.Option(help="Such as high,urgent.", show_default=False)] = "",
    campaign: Annotated[str, typer.Option(help="Campaign, by name or id.", show_default=False)] = "",
    due_from: Annotated[str, typer.Option(help="Due from this day or time on.", show_default=False)] = "",
    due_to: Annotated[str, typer.Option(help="Due up to this day or time.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(help="Most callbacks.")] = 100,
    json: Json = False,
) -> None:
    """List callbacks, what is due first comes first."""
    given = {
        "status": status,
        "overdue": "true" if overdue else "",
        "assigned_to": assigned_to,
        "priority": priority,
        "campaign": campaign,
        "due_from": due_from,
        "due_to": due_to,
    }
    filters = {name: text.split(",") for name, text in given.items() if text}

    async def work(session: Any) -> Page:
        return await list_callbacks(session, Query(filters, limit=limit), now_ms())

    page = reading(ctx, work)
    if json:
        show.as_json(page.items)
    elif page.items:
        show.table(page.items, _LIST)
    else:
        show.note("No callbacks match." if filters else "No callbacks yet. Ask for one: dcx callbacks add +1… --due …")


@app.command("show")
def show_(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Show one callback."""
    found = reading(ctx, lambda session: callbacks.show_callback(session, key, now_ms()))
    (show.as_json if json else show.card)(found)


@app.command()
def add(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(help="Who is to be called, E.164.", show_default=False)],
    due: Annotated[str, typer.Option(help="When, on the company's clock: 2026-01-31T09:00.", show_default=False)],
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent.")] = "normal",
    to: Annotated[
        str, typer.Option(help="Who is to call: a user's name or an e-mail address.", show_default=False)
    ] = "",
    campaign: Annotated[str, typer.Option(help="Campaign, by name or id.", show_default=False)] = "",
    notes: Annotated[str, typer.Option(help="Anything worth knowing.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Ask for a callback. For the caller of a call: dcx calls callback."""
    values = {
        "phone_number": number,
        "due_at": due,
        "priority": priority,
        "assigned_to": to or None,
        "campaign": campaign or None,
        "notes": notes,
    }
    made = writing(ctx, lambda session: callbacks.add_callback(session, values, now_ms()))
    _tell(made, f"Callback {made['id']}: call {made['phone_number']} at {made['due_at']}", json=json)


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    due: Annotated[str, typer.Option(help="Another time.", show_default=False)] = "",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent.", show_default=False)] = "",
    notes: Annotated[str | None, typer.Option(help="Another note.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Change time, priority or note."""
    values: dict[str, Any] = {}
    values |= {"due_at": due} if due else {}
    values |= {"priority": priority} if priority else {}
    values |= {"notes": notes} if notes is not None else {}
    if not values:
        raise Invalid("callback", "nothing to set: name at least one field, see --help")
    made = writing(ctx, lambda session: callbacks.change_callback(session, key, values, now_ms()))
    _tell(made, f"Changed callback {made['id']}", json=json)


@app.command()
def assign(
    ctx: typer.Context,
    key: Key,
    to: Annotated[str, typer.Argument(help="A user's name or an e-mail address; empty: nobody.", show_default=False)],
    json: Json = False,
) -> None:
    """Give it to somebody; an e-mail address is reminded half an hour before."""
    made = writing(ctx, lambda session: callbacks.assign_callback(session, key, to, now_ms()))
    _tell(made, f"Callback {made['id']}: {made['assigned_to'] or 'nobody'}", json=json)


@app.command()
def complete(
    ctx: typer.Context,
    key: Key,
    outcome: Annotated[str, typer.Option(help="What came of it.", show_default=False)],
    notes: Annotated[str, typer.Option(help="To be added to the notes.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """It is done."""
    made = writing(ctx, lambda session: callbacks.complete_callback(session, key, outcome, now_ms(), notes))
    _tell(made, f"Completed callback {made['id']}: {made['outcome']}", json=json)


def _move(done: str, change: Callable[..., Any]) -> Callable[..., None]:
    def command(ctx: typer.Context, key: Key, json: Json = False) -> None:
        made = writing(ctx, lambda session: change(session, key, now_ms()))
        _tell(made, f"{done} callback {made['id']}", json=json)

    return command


app.command("begin", help="Somebody calls now.")(_move("Begun:", callbacks.begin_callback))
app.command("cancel", help="Nobody needs to call any more.")(_move("Cancelled", callbacks.cancel_callback))


def _tell(made: dict[str, Any], text: str, *, json: bool) -> None:
    if json:
        show.as_json(made)
    else:
        typer.echo(text)
