"""`dcx calls`: the call log."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.calls import SORTS, CallPage, list_calls, show_call
from dcx_ari.services.listing import Query
from dcx_ari.services.uncompleted import list_uncompleted
from dcx_ari.services.views import with_view
from dcx_ari.store.db import Database
from dcx_cli import call_edits, csv, show
from dcx_cli.call_options import choosing, filters_in, option
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.rows import filters_of
from dcx_cli.work import reading, run, settings_of

app = new_app("The call log.")

_LIST = (
    *("id", "started_at", "status", "caller", "number", "campaign", "buyer"),
    *("talk", "revenue_cents", "payout_cents", "tags"),
)
_UNCOMPLETED = ("id", "started_at", "caller", "traffic_source", "reason", "failure_reason", "lasted", "actions")
_LEGS = (
    *("position", "buyer", "endpoint", "result", "cause"),
    *("dialled_at", "answered_at", "bridged_at", "ended_at"),
)
_TABLES = {
    "legs": _LEGS,
    "events": ("seq", "at", "kind", "data"),
    "money": ("at", "kind", "amount_cents", "reason", "over_cap"),
    "recordings": ("id", "state", "duration_ms", "path", "delete_reason"),
    "callbacks": ("id", "due_at", "status", "priority", "assigned_to", "outcome"),
    "notes": ("created_at", "created_by", "text"),
}
_APART = (*_TABLES, "decision", "stage_data", "postback_key", "tags", "contact", "legal_hold", "facts")


def _list(ctx: typer.Context, *, json: bool, **given: Any) -> None:
    """List calls, newest first. Days and times are on the company's clock."""
    query = _query(given)

    async def work(session: Any) -> CallPage:
        return await list_calls(session, await with_view(session, "calls", query))

    page = reading(ctx, work)
    if json:
        show.as_json(page.items)
    elif page.items:
        show.table([{**row, "talk": _seconds(row["talk_ms"])} for row in page.items], _LIST)
        _note_more(page)
    else:
        show.note("No calls match." if query.filters or query.search else _NONE_YET)


def _uncompleted(ctx: typer.Context, *, json: bool, **given: Any) -> None:
    """Calls that came to nothing: why, in three words, and what can be done about each."""
    query = _query(given)

    async def work(session: Any) -> tuple[CallPage, dict[str, int]]:
        return await list_uncompleted(session, await with_view(session, "calls", query))

    page, groups = reading(ctx, work)
    if json:
        show.as_json({"data": page.items, "groups": groups, "next_cursor": page.next_cursor})
        return
    if page.items:
        lines = [{**row, "lasted": _seconds(row["duration_before_failure_ms"] or 0)} for row in page.items]
        show.table(lines, _UNCOMPLETED)
        _note_more(page)
    else:
        show.note("No calls match.")
    show.note("; ".join(f"{word}: {count}" for word, count in groups.items() if count))


_NONE_YET = "No calls yet. Place one: dcx demo, or dial one of your numbers."
_PAGE = (
    option(
        "search", str, "", "--search", text="Number or name of the caller, beginning of the id.", show_default=False
    ),
    option("sort_by", str, "started_at", "--sort-by", text=f"One of {', '.join(SORTS)}."),
    option("ascending", bool, False, "--asc", text="Oldest or smallest first."),
    option("filters", list[str] | None, None, "--filter", text="A filter by its name.", metavar="KEY=VALUE[,VALUE]"),
    option("limit", int, 50, "--limit", text="Most calls."),
    option("cursor", str, "", "--cursor", text="Go on from there: the last page named it.", show_default=False),
    option("view", str, "", "--view", text="A saved view; see dcx views.", show_default=False),
)
app.command("list", help=_list.__doc__)(choosing(_list, *_PAGE))
app.command("uncompleted", help=_uncompleted.__doc__)(choosing(_uncompleted, *_PAGE))
app.command("export", help=csv.export_log.__doc__)(csv.export_log)
call_edits.add_commands(app)


@app.command("show")
def show_(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Id, or its beginning.")],
    json: Json = False,
) -> None:
    """Show one call: its legs, events, decision, money, recordings, and what people added."""
    found = reading(ctx, lambda session: show_call(session, call))
    if json:
        show.as_json(found)
        return
    extra = {
        "tags": [tag["name"] for tag in found["tags"]],
        "contact": _contact(found["contact"]),
        "legal_hold": (found["legal_hold"] or {}).get("reason"),
        "facts": found["facts"],
    }
    show.card({name: value for name, value in found.items() if name not in _APART} | extra | _postback(ctx, found))
    for name, columns in _TABLES.items():
        if found[name]:
            show.console().print(f"\n[bold]{name.capitalize()}[/bold]")
            show.table(found[name], columns)


@app.command("lookup")
def lookup(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(help="Phone number, E.164.")],
    json: Json = False,
) -> None:
    """Who calls: name, earlier calls, carrier, blocked or not. What is not known is left out."""
    from dcx_ari.clock import now_ms
    from dcx_ari.integrations.lookup import lookup_of
    from dcx_ari.services.lookup import look_up

    settings = settings_of(ctx)
    ask = lookup_of(settings.lookup, settings.lookup_key)

    async def work(database: Database) -> dict[str, Any]:
        return await look_up(database, number, ask, now_ms())

    found = run(ctx, work)
    (show.as_json if json else show.card)(found)


def _query(given: dict[str, Any]) -> Query:
    return Query(
        filters_in(given) | filters_of(given["filters"] or []),
        given["search"],
        given["sort_by"].replace("-", "_"),
        not given["ascending"],
        given["limit"],
        given["cursor"] or None,
        view=given["view"],
    )


def _note_more(page: CallPage) -> None:
    if page.next_cursor:
        count = f"{page.total:,} calls" if page.exact else f"More than {page.total:,} calls"
        show.note(f"{count} match. The next ones: --cursor {page.next_cursor}")


def _contact(contact: dict[str, Any] | None) -> str:
    if contact is None:
        return ""
    name = f"{contact['first_name']} {contact['last_name']}".strip()
    return ", ".join(part for part in (name, contact["company"], contact["email"]) if part)


def _postback(ctx: typer.Context, call: dict[str, Any]) -> dict[str, str]:
    """Where the buyer reports what the call was worth, and the secret that signs it; nothing for a test call."""
    name, _, secret = (call["postback_key"] or "").partition(".")
    if not secret or call["test"]:
        return {}
    return {"postback_url": f"{settings_of(ctx).public_base}/api/postbacks/{name}", "postback_secret": secret}


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s"
