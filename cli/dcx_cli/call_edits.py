"""What people do about calls: `dcx calls tag|untag|note|outcome|block|retry|callback|hold|release`, and in bulk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import call_notes, call_tags, callbacks
from dcx_ari.services.listing import Query
from dcx_cli import show
from dcx_cli.call_options import choosing, filters_in, option
from dcx_cli.options import Json
from dcx_cli.work import writing

CallId = Annotated[str, typer.Argument(help="Id of the call, or its beginning.", show_default=False)]
Tags = Annotated[list[str], typer.Argument(help="Tags, by name.", show_default=False)]
Due = Annotated[str, typer.Option(help="When, on the company's clock: 2026-01-31T09:00.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why.", show_default=False)]


def add_commands(app: typer.Typer) -> None:
    for command in (tag, untag, note, outcome, block, retry, callback, hold, release):
        app.command()(command)
    more = (
        option("tag", list[str], ..., "--tag", text="Tag, by name; repeatable.", show_default=False),
        option("ids", str, "", "--ids", text="These calls, with commas between them.", show_default=False),
    )
    app.command("bulk-tag", help=_bulk_tag.__doc__)(choosing(_bulk_tag, *more))
    app.command("bulk-untag", help=_bulk_untag.__doc__)(choosing(_bulk_untag, *more))


def tag(ctx: typer.Context, call: CallId, tags: Tags, json: Json = False) -> None:
    """Put tags on a call."""
    _tell_tags(writing(ctx, lambda session: call_tags.tag_call(session, call, tags)), json=json)


def untag(ctx: typer.Context, call: CallId, tags: Tags, json: Json = False) -> None:
    """Take tags off a call."""

    async def work(session: Any) -> list[dict[str, Any]]:
        left: list[dict[str, Any]] = []
        for each in tags:
            left = await call_tags.untag_call(session, call, each)
        return left

    _tell_tags(writing(ctx, work), json=json)


def note(
    ctx: typer.Context,
    call: CallId,
    text: Annotated[str, typer.Argument(help="The note.", show_default=False)],
    json: Json = False,
) -> None:
    """Write a note about a call."""
    made = writing(ctx, lambda session: call_notes.add_note(session, call, text))
    _tell(made, f"Noted on call {made['call_id']}", json=json)


def outcome(
    ctx: typer.Context,
    call: CallId,
    text: Annotated[str, typer.Argument(help="Such as follow-up or sold; empty: none.", show_default=False)],
    json: Json = False,
) -> None:
    """Say what came of a call."""
    made = writing(ctx, lambda session: call_notes.set_outcome(session, call, text or None))
    _tell({"outcome": made}, f"Outcome: {made or 'none'}", json=json)


def block(ctx: typer.Context, call: CallId, reason: Reason = "", json: Json = False) -> None:
    """Put the caller on the blacklist: no call from there is taken any more."""
    made = writing(ctx, lambda session: call_notes.block_caller(session, call, reason))
    _tell(made, f"Blocked {made['phone_number']} (suppression {made['id']})", json=json)


def retry(ctx: typer.Context, call: CallId, json: Json = False) -> None:
    """Try a call again: an urgent callback that is due at once."""
    made = writing(ctx, lambda session: callbacks.retry_call(session, call, now_ms()))
    _tell(made, f"Callback {made['id']}: call {made['phone_number']} now", json=json)


def callback(
    ctx: typer.Context,
    call: CallId,
    due: Due,
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent.")] = "normal",
    to: Annotated[str, typer.Option(help="Who is to call.", show_default=False)] = "",
    notes: Annotated[str, typer.Option(help="Anything worth knowing.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Have the caller called back."""
    values = {"call": call, "due_at": due, "priority": priority, "assigned_to": to or None, "notes": notes}
    made = writing(ctx, lambda session: callbacks.add_callback(session, values, now_ms()))
    _tell(made, f"Callback {made['id']}: call {made['phone_number']} at {made['due_at']}", json=json)


def hold(ctx: typer.Context, call: CallId, reason: Reason, json: Json = False) -> None:
    """Legal hold: nothing deletes the recordings of the call until it is released."""
    made = writing(ctx, lambda session: call_notes.hold_call(session, call, reason))
    _tell(made, f"Call {made['call_id']} is on hold", json=json)


def release(ctx: typer.Context, call: CallId) -> None:
    """End a legal hold."""
    writing(ctx, lambda session: call_notes.release_call(session, call))
    typer.echo("Released")


def _bulk_tag(ctx: typer.Context, *, json: bool, **given: Any) -> None:
    """Put tags on many calls: on those named, or on all that the filters match."""
    _bulk(ctx, call_tags.tag_calls, given, json=json)


def _bulk_untag(ctx: typer.Context, *, json: bool, **given: Any) -> None:
    """Take tags off many calls."""
    _bulk(ctx, call_tags.untag_calls, given, json=json)


def _bulk(
    ctx: typer.Context, change: Callable[..., Awaitable[dict[str, int]]], given: dict[str, Any], *, json: bool
) -> None:
    ids = [part.strip() for part in given["ids"].split(",") if part.strip()]
    filters = filters_in(given)
    query = Query(filters) if filters else None
    made = writing(ctx, lambda session: change(session, given["tag"], ids=ids, query=query))
    _tell(made, f"{made['matched']} calls, {made['changed']} changed", json=json)


def _tell(made: dict[str, Any], text: str, *, json: bool) -> None:
    if json:
        show.as_json(made)
    else:
        typer.echo(text)


def _tell_tags(tags: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        show.as_json(tags)
    else:
        typer.echo(f"Tags: {', '.join(each['name'] for each in tags) or 'none'}")
