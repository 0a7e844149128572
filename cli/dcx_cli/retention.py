"""`dcx retention`: how long recordings and voicemails are kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import retention
from dcx_ari.services.errors import Invalid
from dcx_ari.services.retention_run import Report
from dcx_ari.services.retention_run import run as run_rules
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, run, settings_of, writing

app = new_app("Retention: how long recordings and voicemails are kept.")
Key = Annotated[str, typer.Argument(help="Id of the rule.", show_default=False)]
Except = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="LABEL=DAYS|forever",
        help="Longer for calls with this tag or outcome, or converted; repeatable.",
        show_default=False,
    ),
]
Always = Annotated[
    bool | None, typer.Option("--record/--no-record", help="Set the campaign's own record.", show_default=False)
]
_FOREVER = "forever"
_LIST = ("id", "campaign", "retention_days", "exceptions", "always_record")


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List the rules."""
    found = reading(ctx, retention.list_rules)
    if json:
        show.as_json(found)
    elif found:
        show.table([_line(row) for row in found], _LIST)
    else:
        show.note("No rules: everything is kept. Make one: dcx retention add 90 --except converted=365")


@app.command()
def add(
    ctx: typer.Context,
    days: Annotated[str, typer.Argument(help="Days from the end of the call, or forever.", show_default=False)],
    campaign: Annotated[
        str, typer.Option(help="For this campaign; else for all without a rule.", show_default=False)
    ] = "",
    exceptions: Except = None,
    record: Always = None,
    json: Json = False,
) -> None:
    """Make a rule."""
    values = {"retention_days": _days(days), **_given(campaign, exceptions, record)}
    made = writing(ctx, lambda session: retention.add_rule(session, values))
    _tell(made, f"Added retention rule {made['id']}", json=json)


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    days: Annotated[str, typer.Option(help="Days from the end of the call, or forever.", show_default=False)] = "",
    exceptions: Except = None,
    record: Always = None,
    json: Json = False,
) -> None:
    """Change a rule; --except names all of its exceptions anew, --except '' none."""
    values = _given("", exceptions, record) | ({"retention_days": _days(days)} if days else {})
    if not values:
        raise Invalid("retention rule", "nothing to set: name at least one field, see --help")
    made = writing(ctx, lambda session: retention.change_rule(session, key, values))
    _tell(made, f"Changed retention rule {made['id']}", json=json)


@app.command()
def rm(ctx: typer.Context, key: Key, json: Json = False) -> None:
    """Remove a rule: its calls are then kept by the rule for all, else forever."""
    made = writing(ctx, lambda session: retention.remove_rule(session, key))
    _tell(made, f"Removed retention rule {made['id']}", json=json)


@app.command("run")
def run_(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; say what is due.")] = False,
    json: Json = False,
) -> None:
    """Delete the audio whose time is up. The engine does this by itself every hour."""
    home = settings_of(ctx).home

    async def work(database: Database) -> Report:
        return await run_rules(database, home, now_ms(), dry_run=dry_run)

    report = run(ctx, work)
    if json:
        show.as_json(report.as_json())
    else:
        if report.due:
            lines = [{**each, "id": each["recording_id"] or each["voicemail_id"]} for each in report.due]
            show.table(lines, ("id", "ended_at", "kept_until", "reason", "size_bytes"))
        what = f"{report.due_count} would be deleted" if dry_run else f"{report.deleted} deleted"
        show.note(f"{what} ({report.bytes / 1e6:,.1f} MB); {report.held} on legal hold")
    for error in report.errors:
        show.note(f"Error: {error}")
    if report.errors:
        raise typer.Exit(1)


def _days(text: str) -> int | None:
    if text.strip().lower() == _FOREVER:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Invalid("retention_days", "must be a number of days, or forever")
    return int(text)


def _given(campaign: str, exceptions: list[str] | None, record: bool | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if campaign:
        values["campaign"] = campaign
    if exceptions is not None:
        values["exceptions"] = dict(_exception(text) for text in exceptions if text)
    if record is not None:
        values["always_record"] = record
    return values


def _exception(text: str) -> tuple[str, int | str]:
    label, equals, days = text.partition("=")
    if not equals or not label.strip():
        raise Invalid("exceptions", f"must look like converted=365 or disputed=forever, not {text!r}")
    kept = _days(days)
    return label.strip(), _FOREVER if kept is None else kept


def _line(row: dict[str, Any]) -> dict[str, Any]:
    kept = [f"{label}: {days}" for label, days in row["exceptions"].items()]
    days = _FOREVER if row["retention_days"] is None else row["retention_days"]
    return {**row, "campaign": row["campaign"] or "(all others)", "retention_days": days, "exceptions": kept}


def _tell(made: dict[str, Any], text: str, *, json: bool) -> None:
    if json:
        show.as_json(made)
    else:
        typer.echo(text)
