"""`dcx recordings`: where they are, whether they are still what was recorded, and deleting one."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.recording_deletion import delete_recording
from dcx_ari.services.recording_links import LINK_S, Link, secret_of, sign
from dcx_ari.services.recordings import Checked, file_of, list_recordings, played, recording_of, verify
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import os_user, reading, run, settings_of, writing

app = new_app("Recordings: where they are, and whether they are whole.")
CallId = Annotated[str, typer.Argument(help="Id of the call, or its beginning.", show_default=False)]
Which = Annotated[str, typer.Option(help="Which recording, of a call with several.", show_default=False)]
_LIST = ("id", "call_id", "state", "started_at", "duration_ms", "size_bytes", "path", "delete_reason")


@app.command("list")
def list_(
    ctx: typer.Context,
    call: Annotated[str, typer.Option(help="Of this call.", show_default=False)] = "",
    deleted: Annotated[
        bool | None, typer.Option("--deleted/--not-deleted", help="Whose audio is gone, or not.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="Most recordings.")] = 100,
    json: Json = False,
) -> None:
    """List recordings, newest first."""
    found = reading(ctx, lambda session: list_recordings(session, call=call, deleted=deleted, limit=limit))
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _LIST)
    else:
        show.note("No recordings match." if call or deleted is not None else "No recordings yet.")


@app.command()
def path(ctx: typer.Context, call: CallId, recording: Which = "") -> None:
    """Print where the file of a call's recording is, to play it with a program of this machine."""
    home = settings_of(ctx).home

    async def work(session: Any) -> Path:
        row = await recording_of(session, call, recording)
        found = file_of(home, row)
        await played(session, row)  # whoever asks for it can listen
        return found

    typer.echo(str(writing(ctx, work)))


@app.command()
def url(ctx: typer.Context, call: CallId, recording: Which = "") -> None:
    """Print a link to a call's recording, good for 15 minutes, served by the running engine."""
    settings, actor = settings_of(ctx), os_user()
    row = reading(ctx, lambda session: recording_of(session, call, recording))
    link = Link(row.id, int(time.time()) + LINK_S, actor.kind, actor.id or "", actor.name)
    token = sign(secret_of(settings.home), link)
    typer.echo(f"{settings.public_base}/api/recordings/{row.id}/audio?token={token}")


@app.command("verify")
def verify_(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Only this call's; else all.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Compare every file with the SHA-256 taken when it was recorded. Exit status 1 if one is missing or changed."""
    home = settings_of(ctx).home

    async def work(database: Database) -> list[Checked]:
        return await verify(database, home, call)

    found = run(ctx, work)
    wrong = [each for each in found if each.state != "intact"]
    if json:
        show.as_json([asdict(each) for each in found])
    elif wrong:
        show.table([asdict(each) for each in wrong], ("recording_id", "state", "path"))
    show.note(f"{len(found)} recordings, {len(found) - len(wrong)} intact, {len(wrong)} not")
    if wrong:
        raise typer.Exit(1)


@app.command()
def delete(
    ctx: typer.Context,
    recording: Annotated[str, typer.Argument(help="Id of the recording.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; kept with the row.", show_default=False)],
    json: Json = False,
) -> None:
    """Delete the audio of a recording. The row stays, with its hash, the time and the reason."""
    home = settings_of(ctx).home

    async def work(database: Database) -> dict[str, Any]:
        return await delete_recording(database, home, recording, reason, now_ms())

    made = run(ctx, work)
    if json:
        show.as_json(made)
    else:
        typer.echo(f"Deleted {made['id']}: {made['delete_reason']}")
