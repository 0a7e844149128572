"""`dcx voicemail`: messages that callers left."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import voicemails
from dcx_ari.services.listing import Page, Query
from dcx_ari.services.voicemail_deletion import delete_voicemail
from dcx_ari.services.voicemail_list import list_voicemails
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, run, settings_of, writing

app = new_app("Voicemail: messages that callers left.")
Key = Annotated[str, typer.Argument(help="Id of the voicemail, or of its call.", show_default=False)]
_LIST = ("id", "created_at", "caller", "duration_ms", "state", "priority", "assigned_to", "transcription")
_PLAYERS = (("pw-play",), ("paplay",), ("aplay", "-q"), ("play", "-q"), ("afplay",))


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[str, typer.Option(help="Such as new,heard.", show_default=False)] = "",
    assigned_to: Annotated[str, typer.Option(help="Whose; none: nobody's.", show_default=False)] = "",
    priority: Annotated[str, typer.Option(help="Such as high,urgent.", show_default=False)] = "",
    caller: Annotated[str, typer.Option(help="Who left it.", show_default=False)] = "",
    number: Annotated[str, typer.Option(help="The number that was dialled.", show_default=False)] = "",
    campaign: Annotated[str, typer.Option(help="Campaign, by name or id.", show_default=False)] = "",
    since: Annotated[str, typer.Option("--from", help="From this day or time on.", show_default=False)] = "",
    until: Annotated[str, typer.Option("--to", help="Up to this day or time.", show_default=False)] = "",
    search: Annotated[str, typer.Option(help="In what was said, notes, callers.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(help="Most voicemails.")] = 100,
    json: Json = False,
) -> None:
    """List voicemails, newest first."""
    given = {"state": state, "assigned_to": assigned_to, "priority": priority, "caller": caller, "number": number}
    given |= {"campaign": campaign, "from": since, "to": until}
    filters = {name: text.split(",") for name, text in given.items() if text}

    async def work(session: Any) -> Page:
        return await list_voicemails(session, Query(filters, search, limit=limit))

    page = reading(ctx, work)
    if json:
        show.as_json(page.items)
    elif page.items:
        show.table(page.items, _LIST)
    else:
        show.note("No voicemails match." if filters or search else "No voicemails yet.")


@app.command("show")
def show_(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Show one voicemail."""
    found = reading(ctx, lambda session: voicemails.show_voicemail(session, key))
    (show.as_json if json else show.card)(found)


@app.command()
def play(
    ctx: typer.Context,
    key: Key,
    path: Annotated[bool, typer.Option("--path", help="Only print where the file is.")] = False,
) -> None:
    """Play one on this machine, or print where its file is. It is not new any more."""
    home = settings_of(ctx).home

    async def work(session: Any) -> Path:
        row = await voicemails.find_voicemail(session, key)
        found = voicemails.file_of(home, row)
        await voicemails.played(session, row, now_ms())  # whoever asks for it can listen
        return found

    file = writing(ctx, work)
    typer.echo(str(file))
    player = next((each for each in _PLAYERS if shutil.which(each[0])), None)
    if player is not None and not path and sys.stdout.isatty():
        os.execvp(player[0], [*player, str(file)])  # noqa: S606  a program of this machine, in our place


@app.command()
def assign(
    ctx: typer.Context,
    key: Key,
    to: Annotated[str, typer.Argument(help="A user's name or an e-mail address; empty: nobody.", show_default=False)],
    json: Json = False,
) -> None:
    """Give it to somebody."""
    made = writing(ctx, lambda session: voicemails.assign(session, key, to.strip(), now_ms()))
    _tell(made, f"Voicemail {made['id']}: {made['assigned_to'] or 'nobody'}", json=json)


@app.command()
def done(
    ctx: typer.Context,
    key: Key,
    notes: Annotated[str, typer.Option(help="To be added to the notes.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """It is dealt with."""
    made = writing(ctx, lambda session: voicemails.mark_done(session, key, now_ms(), notes))
    _tell(made, f"Done: voicemail {made['id']}", json=json)


@app.command()
def rm(
    ctx: typer.Context,
    key: Key,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Delete one: its audio, its text and its row."""
    home = settings_of(ctx).home

    async def work(database: Database) -> dict[str, Any]:
        return await delete_voicemail(database, home, key, reason, now_ms())

    made = run(ctx, work)
    _tell(made, f"Deleted voicemail {made['id']}", json=json)


@app.command("schedule-callback")
def schedule_callback(
    ctx: typer.Context,
    key: Key,
    due: Annotated[str, typer.Option(help="When, on the company's clock: 2026-01-31T09:00.", show_default=False)],
    to: Annotated[str, typer.Option(help="Who is to call.", show_default=False)] = "",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent.", show_default=False)] = "",
    notes: Annotated[str, typer.Option(help="Anything worth knowing.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Have whoever left it called back."""
    given = {"due_at": due, "assigned_to": to, "priority": priority, "notes": notes}
    values = {name: text for name, text in given.items() if text}
    made = writing(ctx, lambda session: voicemails.schedule_callback(session, key, values, now_ms()))
    _tell(made, f"Callback {made['id']}: call {made['phone_number']} at {made['due_at']}", json=json)


def _tell(made: dict[str, Any], text: str, *, json: bool) -> None:
    if json:
        show.as_json(made)
    else:
        typer.echo(text)
