"""`dcx caps`: what is used of every cap, adjustments, and the proof that it all adds up."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import audit, caps
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import Ledger, open_ledger
from dcx_cli import show as shown
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

app = new_app("Caps: what is used, what is left, and whether it all adds up.")
T = TypeVar("T")
Scope = Annotated[str, typer.Option(help="buyer, group, campaign or source.")]
_COLUMNS = ("name", "cap", "used", "held", "limit", "remaining", "resets_at", "maxed_out")
_UNLIMITED = "∞"


@app.command()
def show(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names or ids; all when left out.")] = None,
    scope: Scope = "buyer",
    everything: Annotated[bool, typer.Option("--all", help="Also caps without a limit and without use.")] = False,
    json: Json = False,
) -> None:
    """Show used, held and remaining of every cap in its current period."""
    zone = settings_of(ctx).timezone

    async def work(database: Database, ledger: Ledger) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await caps.show(session, ledger, zone, now_ms(), scope=scope, keys=names or ())

    rows = _run(ctx, work)
    if json:
        shown.as_json(rows)
        return
    lines = [_line(row, cap) for row in rows for cap in row["caps"] if everything or _matters(cap)]
    if lines:
        shown.table(lines, _COLUMNS)
    else:
        shown.note("Nothing is capped and nothing used yet. --all shows every cap.")


@app.command()
def adjust(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id.")],
    cap: Annotated[str, typer.Argument(help="daily, monthly, total, converted_daily, revenue_monthly …")],
    reason: Annotated[str, typer.Option(help="Why; kept with the entry.")],
    by: Annotated[int | None, typer.Option(help="Add this to what is used (cents for revenue).")] = None,
    to: Annotated[int | None, typer.Option(help="Set what is used to this; 0 resets the cap.")] = None,
    scope: Scope = "buyer",
    json: Json = False,
) -> None:
    """Change what a cap counts as used in its current period. An entry with reason and actor, never an edit."""
    zone, actor = settings_of(ctx).timezone, f"cli:{getpass.getuser()}"

    async def work(database: Database, ledger: Ledger) -> dict[str, Any]:
        async with database.read() as session:
            done = await caps.adjust(
                session,
                ledger,
                zone,
                now_ms(),
                scope=scope,
                key=name,
                cap=cap,
                by=by,
                to=to,
                reason=reason,
                actor=actor,
            )
        used = ({done["cap"]: done["before"]}, {done["cap"]: done["after"]})
        async with database.write() as session:  # the ledger has its own transaction, and its own entry
            await audit.record(session, "cap.adjusted", scope, done["id"], *used, reason=reason)
        return done

    done = _run(ctx, work)
    if json:
        shown.as_json(done)
    else:
        typer.echo(f"{done['name']}: {done['cap']} {done['before']} -> {done['after']}")


@app.command()
def verify(ctx: typer.Context, json: Json = False) -> None:
    """Recompute every counter from its entries and holds. Exit status 1 and a list on any difference."""

    async def work(_: Database, ledger: Ledger) -> list[dict[str, Any]]:
        return await caps.verify(ledger)

    found = _run(ctx, work)
    if json:
        shown.as_json(found)
    for difference in [] if json else found:
        typer.echo(difference["message"])
    if found:
        shown.note(f"{len(found)} differences")
        raise typer.Exit(1)
    shown.note("Every counter is the sum of its entries and holds, and no limit was passed.")


def _run(ctx: typer.Context, work: Callable[[Database, Ledger], Awaitable[T]]) -> T:
    url = settings_of(ctx).database_url

    async def with_ledger(database: Database) -> T:
        ledger = open_ledger(url, worker="cli")
        try:
            return await work(database, ledger)
        finally:
            await ledger.close()

    return run(ctx, with_ledger)


def _matters(cap: dict[str, Any]) -> bool:
    return cap["limit"] is not None or bool(cap["used"] or cap["held"])


def _line(row: dict[str, Any], cap: dict[str, Any]) -> dict[str, Any]:
    figures = {name: _figure(cap, name) for name in ("used", "held", "limit", "remaining")}
    maxed = cap["cap"] in {each["cap"] for each in row["maxed_by"]}
    return {**cap, **figures, "name": row["name"], "maxed_out": "MAXED OUT" if maxed else ""}


def _figure(cap: dict[str, Any], name: str) -> str:
    value = cap[name]
    if value is None:
        return _UNLIMITED
    return shown.cell("_cents", value) if cap["metric"] == "revenue_cents" else str(value)
