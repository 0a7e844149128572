"""`dcx buyers stats` and `snapshots`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.conversion_stats import conversion_stats
from dcx_ari.services.errors import Invalid
from dcx_ari.services.usage_snapshots import backfill, snapshots
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

_SPANS = ("today", "month", "last_30_days", "total")


def add_commands(app: typer.Typer) -> None:
    app.command("stats", help="How a buyer's calls turn into sales, and what its conversion caps leave.")(_stats)
    app.command("snapshots", help="A buyer's usage per UTC day; or count a span of days again for all.")(_snapshots)


def _stats(
    ctx: typer.Context,
    buyer: Annotated[str, typer.Argument(help="Id or name.", show_default=False)],
    json: Json = False,
) -> None:
    zone = settings_of(ctx).timezone

    async def work(database: Database) -> dict[str, Any]:
        async with database.read() as session:
            return await conversion_stats(session, buyer, zone, now_ms())

    found = run(ctx, work)
    if json:
        show.as_json(found)
        return
    show.table(
        [{"span": name.replace("_", " "), **found[name]} for name in _SPANS],
        ("span", "calls", "conversions", "conversion_rate", "revenue_cents"),
    )
    show.table(
        [{"conversions": name, **values} for name, values in found["caps"].items()],
        ("conversions", "used", "held", "limit", "remaining"),
    )


def _snapshots(
    ctx: typer.Context,
    buyer: Annotated[str, typer.Argument(help="Id or name; not with --backfill.", show_default=False)] = "",
    again: Annotated[
        tuple[str, str] | None,
        typer.Option("--backfill", metavar="FROM TO", help="Count these UTC days again, for all buyers."),
    ] = None,
    json: Json = False,
) -> None:
    if (again is not None) is bool(buyer):
        raise Invalid("buyer", "name a buyer, or give --backfill FROM TO")
    if again is not None:
        first, last = again
        written = run(ctx, lambda database: backfill(database, first, last, now_ms()))
        if json:
            show.as_json({"rows": written})
        else:
            typer.echo(f"Wrote {written} snapshots from {first} to {last}")
        return

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.read() as session:
            return await snapshots(session, buyer)

    found = run(ctx, work)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, ("snapshot_date", "calls_count", "conversions_count", "revenue_cents", "created_at"))
    else:
        show.note("No snapshots yet: one is taken each midnight UTC. Earlier days: --backfill FROM TO")
