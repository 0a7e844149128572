"""`dcx report`: the call log summed, on the terminal, as a file, or sent by e-mail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services.call_view import view_of
from dcx_ari.services.filters import values_in
from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.report_files import render
from dcx_ari.services.reports import RANGES, Report, Spec, report, spec_of
from dcx_ari.store.db import Session
from dcx_cli import rows, show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.report_shown import bars, table
from dcx_cli.work import reading

app = new_app("Reports over the call log.")
app.add_typer(rows.build("scheduled-reports"), name="schedule", help="Reports that are sent by e-mail.")


@app.callback()
def _group() -> None:
    """Reports over the call log."""


@app.command("calls")
def calls(
    ctx: typer.Context,
    group_by: Annotated[str, typer.Option(help=f"One or two of {', '.join(DIMENSIONS)}, with a comma.")] = "buyer",
    date_range: Annotated[str, typer.Option("--range", help=f"{', '.join(RANGES)}.")] = "last_7_days",
    from_date: Annotated[str, typer.Option("--from", help="First day; instead of --range.", show_default=False)] = "",
    to_date: Annotated[str, typer.Option("--to", help="Last day, it included.", show_default=False)] = "",
    buyer: Annotated[str, typer.Option(help="Only of these buyers.", show_default=False)] = "",
    campaign: Annotated[str, typer.Option(help="Only of these campaigns.", show_default=False)] = "",
    source: Annotated[str, typer.Option(help="Only of these traffic sources.", show_default=False)] = "",
    status: Annotated[str, typer.Option(help="Only of these, such as completed,busy.", show_default=False)] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="Any other filter of dcx calls list; repeatable."),
    ] = None,
    sort_by: Annotated[str, typer.Option(help="Column, such as revenue; else by calls or time.")] = "",
    ascending: Annotated[bool, typer.Option("--asc", help="Smallest first.")] = False,
    limit: Annotated[int, typer.Option(help="Most rows; 0: all.")] = 0,
    number_cost: Annotated[
        bool, typer.Option("--number-cost", help="Add the rent of the numbers to the cost.")
    ] = False,
    chart: Annotated[bool, typer.Option(help="Draw bars below the table.")] = True,
    csv: Annotated[str, typer.Option(help="Write CSV to this file; - is the screen.", show_default=False)] = "",
    xlsx: Annotated[Path | None, typer.Option(help="Write a workbook with charts.", show_default=False)] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a table to print.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Sum calls by one or two dimensions."""
    named = {"buyer": buyer, "campaign": campaign, "source": source, "status": status}
    wanted = {name: values_in(text) for name, text in named.items() if text} | rows.filters_of(filters or [])
    spec = spec_of(
        group_by,
        date_range=date_range,
        from_date=from_date,
        to_date=to_date,
        filters=wanted,
        sort_by=sort_by,
        descending=not ascending,
        limit=limit,
        number_cost=number_cost,
    )
    made = _made(ctx, spec)
    if csv:
        _write(csv, render(made, "csv"))
    if xlsx is not None:
        _write(str(xlsx), render(made, "excel"))
    if pdf is not None:
        _write(str(pdf), render(made, "pdf"))
    if json:
        show.as_json(made.as_json())
    elif not csv and xlsx is None and pdf is None:
        _show(made, chart=chart)


def _made(ctx: typer.Context, spec: Spec) -> Report:
    async def work(session: Session) -> Report:
        return await report(session, spec, view_of(session), now_ms())

    return reading(ctx, work)


def _write(name: str, content: bytes) -> None:
    if name == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    path.write_bytes(content)
    show.note(f"Written: {path} ({len(content):,} bytes)")


def _show(made: Report, *, chart: bool) -> None:
    console = show.console()
    days = str(made.days.first) if made.days.days == 1 else f"{made.days.first} to {made.days.last}"
    console.print(f"Calls by {', '.join(made.group_by)}, {days} ({made.zone})", style="bold", highlight=False)
    if not made.rows:
        show.note("No calls in these days. Another range: --range last_30_days, or --from and --to.")
        return
    console.print(table(made))
    for name in ("calls", "revenue_cents") if chart and len(made.rows) > 1 else ():
        if (drawn := bars(made, name)) is not None:
            console.print()
            console.print(drawn)
