"""`dcx calls`: the call log."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.calls import list_calls, show_call
from dcx_ari.services.listing import Page, Query
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

app = new_app("The call log.")

_LIST = (
    *("id", "started_at", "status", "caller", "number", "campaign", "buyer"),
    *("talk", "revenue_cents", "payout_cents"),
)
_LEGS = (
    *("position", "buyer", "endpoint", "result", "cause"),
    *("dialled_at", "answered_at", "bridged_at", "ended_at"),
)
_PARTS = ("legs", "events", "recordings", "decision", "stage_data", "postback_key")


@app.command("list")
def list_(
    ctx: typer.Context,
    status: Annotated[str, typer.Option(help="Such as completed,busy.", show_default=False)] = "",
    buyer: Annotated[str, typer.Option(help="Buyer, by name or id.", show_default=False)] = "",
    campaign: Annotated[str, typer.Option(help="Campaign, by name or id.", show_default=False)] = "",
    source: Annotated[str, typer.Option(help="Traffic source, by name or id.", show_default=False)] = "",
    number: Annotated[str, typer.Option(help="Number that was dialled.", show_default=False)] = "",
    caller: Annotated[str, typer.Option(help="Caller's number.", show_default=False)] = "",
    date_from: Annotated[str, typer.Option("--from", help="Date or time.", show_default=False)] = "",
    date_to: Annotated[str, typer.Option("--to", help="Date or time, exclusive.", show_default=False)] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="KEY=VALUE", help="Any other; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most calls.")] = 50,
    json: Json = False,
) -> None:
    """List calls, newest first."""
    from dcx_cli.rows import filters_of

    named = {
        "status": status,
        "buyer": buyer,
        "campaign": campaign,
        "source": source,
        "number": number,
        "caller": caller,
        "date_from": date_from,
        "date_to": date_to,
    }
    wanted = {key: text.split(",") for key, text in named.items() if text} | filters_of(filters or [])

    async def work(database: Database) -> Page:
        async with database.read() as session:
            return await list_calls(session, Query(filters=wanted, limit=limit))

    page = run(ctx, work)
    if json:
        show.as_json(page.items)
    elif page.items:
        show.table([{**row, "talk": _seconds(row["talk_ms"])} for row in page.items], _LIST)
        if page.next_cursor:
            show.note(f"There are more: --limit, or --to {page.items[-1]['started_at']}")
    else:
        show.note("No calls match." if wanted else "No calls yet. Place one: dcx demo, or dial one of your numbers.")


@app.command("show")
def show_(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Id, or its beginning.")],
    json: Json = False,
) -> None:
    """Show one call: its legs, events, decision, money and recordings."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await show_call(session, call)

    found = run(ctx, work)
    if json:
        show.as_json(found)
        return
    show.card({name: value for name, value in found.items() if name not in _PARTS} | _postback(ctx, found))
    if found["legs"]:
        show.console().print("\n[bold]Legs[/bold]")
        show.table(found["legs"], _LEGS)
    if found["events"]:
        show.console().print("\n[bold]Events[/bold]")
        show.table(found["events"], ("seq", "at", "kind", "data"))
    if found["recordings"]:
        show.console().print("\n[bold]Recordings[/bold]")
        show.table(found["recordings"], ("id", "state", "duration_ms", "path"))


def _postback(ctx: typer.Context, call: dict[str, Any]) -> dict[str, str]:
    """Where the buyer reports what the call was worth, and the secret that signs it; nothing for a test call."""
    from dcx_ari.remote import api_url

    name, _, secret = (call["postback_key"] or "").partition(".")
    if not secret or call["test"]:
        return {}
    return {"postback_url": f"{api_url(settings_of(ctx))}/api/postbacks/{name}", "postback_secret": secret}


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s"
