"""`dcx states alerts`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.state_alerts import alerts
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run


def add_commands(app: typer.Typer) -> None:
    app.command("alerts", help="Calls that met a rule of their state: blocked, or consent required.")(_alerts)


def _alerts(
    ctx: typer.Context,
    days: Annotated[int, typer.Option(help="How far back, 1 to 365.")] = 30,
    limit: Annotated[int, typer.Option(help="Most calls, up to 500.")] = 50,
    json: Json = False,
) -> None:
    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return (await alerts(session, now_ms(), days=days, limit=limit)).items

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(
            [{**each, "rule": "; ".join(map(_words, each["rules"]))} for each in found],
            ("call_id", "started_at", "caller", "state_code", "rule"),
        )
    else:
        show.note("No call met a rule of its state.")


def _words(rule: dict[str, Any]) -> str:
    what = "blocked" if rule["action"] == "block" else f"needs {rule['consent_type'] or 'some'} consent"
    return f"{rule['buyer'] or 'all'}: {what} (rule {rule['rule_id']})"
