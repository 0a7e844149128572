"""A call's record, told for a person: what happened when, who answered and why, the money, the recording."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_TOLD = {
    "stage": "stage",
    "dialling": "dialling",
    "converted": "converted",
}


def show_record(console: Console, call: dict[str, Any], heard: Any, home: Path) -> None:
    console.print(f"\n[bold]Call {call['id']}[/bold]  {call['caller']} → {call['dialled']}  {call['status']}")
    _stages(console, call)
    _money(console, call, heard, home)


def _stages(console: Console, call: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("after", justify="right")
    table.add_column("what")
    table.add_column("details")
    began = _moment(call["started_at"])
    for event in call["events"]:
        if event["kind"] in _TOLD:
            data = dict(event["data"])
            what = data.pop("stage", _TOLD[event["kind"]])
            details = ", ".join(
                f"{name} {value}" for name, value in data.items() if value is not None and value is not False
            )
            table.add_row(f"{(_moment(event['at']) - began).total_seconds():.2f} s", what, details)
    console.print(table)


def _money(console: Console, call: dict[str, Any], heard: Any, home: Path) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("answered by", f"{call['buyer']}, {_why(call)}")
    table.add_row("talked", f"{call['talk_ms'] / 1000:.1f} s, ended by the {call['ended_by']}")
    table.add_row("revenue", f"{call['revenue_cents'] / 100:.2f}")
    table.add_row("payout", f"{call['payout_cents'] / 100:.2f}")
    table.add_row("cost", f"{call['cost_cents'] / 100:.2f}")
    for recording in call["recordings"]:
        table.add_row("recording", f"{home / (recording['path'] or '')}")
        table.add_row("", f"stereo, caller left, {(recording['duration_ms'] or 0) / 1000:.1f} s")
        table.add_row("", f"SHA-256 {recording['sha256']}")
    table.add_row(
        "heard",
        f"caller hears buyer at {heard.caller_hears_buyer:.0f} of 8000, "
        f"buyer hears caller at {heard.buyer_hears_caller:.0f}",
    )
    console.print(table, highlight=False)


def _why(call: dict[str, Any]) -> str:
    """One line from the Decision: how the winner came to be first."""
    decision = (call.get("decision") or {}).get("decision", {})
    ranked = decision.get("ranked", [])
    if not ranked:
        return "no decision is kept"
    first = ranked[0]
    rivals = [entry for entry in ranked if entry["tier"] == first["tier"]]
    others = f"drawn by weight {first['weight']} among {len(rivals)}" if len(rivals) > 1 else "alone in it"
    return f"tier {first['tier']}, {others} (seed {decision.get('seed')})"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
