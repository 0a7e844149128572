"""`dcx dashboard`: today at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.columns import Columns
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dcx_ari.clock import now_ms
from dcx_ari.services.call_view import view_of
from dcx_ari.services.dashboard import comparative_stats, summary
from dcx_ari.services.performance import buyer_performance, traffic_source_performance
from dcx_ari.store.db import Session
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import reading

_BUYERS = (
    *(
        "buyer",
        "tier",
        "yesterday",
        "today",
        "live",
        "converted",
        "average_revenue_cents",
        "cap_remaining",
        "closes_at",
    ),
)
_SOURCES = ("source", "yesterday", "today", "live", "connected", "converted", "payout_cents", "cap_remaining")
_UNLIMITED = "∞"


def command(
    ctx: typer.Context,
    date_range: Annotated[str, typer.Option("--range", help="Days of the widgets, as for dcx report calls.")] = "today",
    date: Annotated[str, typer.Option(help="Day of the comparison; else today.", show_default=False)] = "",
    compare_date: Annotated[str, typer.Option(help="Day to compare with; else the day before.")] = "",
    compare: Annotated[str, typer.Option(help="full, or elapsed: as much of that day as has gone of this.")] = "full",
    json: Json = False,
) -> None:
    """Show today beside yesterday, money and calls, buyers and sources."""

    async def work(session: Session) -> dict[str, Any]:
        view, now = view_of(session), now_ms()
        compared = await comparative_stats(session, view, now, day=date, compare_day=compare_date, compare=compare)
        return {
            "comparative": compared,
            "summary": await summary(session, view, now, date_range=date_range),
            "buyers": (await buyer_performance(session, view, now))["data"],
            "traffic_sources": (await traffic_source_performance(session, view, now))["data"],
        }

    found = reading(ctx, work)
    if json:
        show.as_json(found)
        return
    console = show.console()
    console.print(Columns([_compared(found["comparative"]), _widgets(found["summary"]), _statuses(found["summary"])]))
    for title, name, columns in (("Buyers", "buyers", _BUYERS), ("Traffic sources", "traffic_sources", _SOURCES)):
        if found[name]:
            console.print(f"\n[bold]{title}[/bold]")
            show.table([_row(row) for row in found[name]], columns)
    console.print(Text(f"\nUpdated: {found['summary']['updated_at']}", style="dim"))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """As a line of a table: no cap is unlimited, live calls stand beside their limit."""
    remaining = row["cap_remaining"]
    limit = row.get("concurrency_limit", 0)
    live = f"{row['live']} / {_UNLIMITED if limit is None else limit}" if "concurrency_limit" in row else row["live"]
    return {**row, "cap_remaining": _UNLIMITED if remaining is None else remaining, "live": live}


def _grid(title: str, lines: Sequence[tuple[str, ...]]) -> Panel:
    grid = Table(box=None, show_header=False, pad_edge=False)
    for line in lines:
        grid.add_row(*map(Text, line))
    return Panel(grid, title=title, expand=False)


def _compared(found: dict[str, Any]) -> Panel:
    lines: list[tuple[str, ...]] = [("", "this day", "that day", "")]
    for name in ("calls", "revenue", "conversions"):
        shown = [
            show.cell("x_cents" if name == "revenue" else name, found[day][name]) for day in ("today", "yesterday")
        ]
        lines.append((name, *shown, found["delta"][name] or "new"))
    return _grid("Compared", lines)


def _widgets(found: dict[str, Any]) -> Panel:
    limit = found["active_cc"]["limit"]
    lines = [
        ("calls", f"{found['calls']:,}"),
        ("connected", f"{found['connected']:,}"),
        ("revenue", show.cell("x_cents", found["revenue_cents"])),
        ("payout", show.cell("x_cents", found["payout_cents"])),
        ("telephone cost", show.cell("x_cents", found["telephone_cost_cents"])),
        ("profit", show.cell("x_cents", found["profit_cents"])),
        ("revenue per call", show.cell("x_cents", found["revenue_per_call_cents"])),
        ("average length", f"{found['average_call_length_s'] or 0} s"),
        ("in progress", str(found["calls_in_progress"])),
        ("active", f"{found['active_cc']['used']} / {_UNLIMITED if limit is None else limit}"),
    ]
    return _grid(f"{found['from_date']} to {found['to_date']}", lines)


def _statuses(found: dict[str, Any]) -> Panel:
    lines = [(show.cell("status", each["status"]), f"{each['calls']:,}") for each in found["calls_by_status"]]
    return _grid("Calls by status", lines or [("no calls", "")])
