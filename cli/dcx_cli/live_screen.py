"""What `dcx live` knows and shows: fed with the messages of both WebSockets, drawn a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dcx_cli.show import cell

_UNLIMITED = "∞"
_COLOURS = {"ringing": "yellow", "in-progress": "green", "on-hold": "magenta"}
_FIGURES = (
    ("in progress", "in_progress"),
    ("ringing", "ringing"),
    ("on hold", "on_hold"),
    ("calls today", "calls_today"),
    ("converted", "converted_today"),
    ("revenue", "revenue_today_cents"),
    ("payout", "payout_today_cents"),
)


@dataclass
class Screen:
    """`ahead_s`: how far the engine's clock is before ours. `away`: why nothing is heard; empty: it is. `degraded`: why
    calls of some workers may be missing.
    """

    calls: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    ahead_s: float = 0.0
    away: str = "Connecting…"
    degraded: str = ""
    clock: Callable[[], float] = time.time

    def take(self, message: Mapping[str, Any]) -> None:
        """One message of either WebSocket, or what GET /api/live answers."""
        self.away = ""
        self.ahead_s = _epoch(message["at"]) - self.clock()
        if "degraded" in message:
            self.degraded = message["degraded"] or ""
        if message["type"] == "snapshot":
            if "metrics" in message:
                self.metrics = dict(message["metrics"])
            if "calls" in message:
                self.calls = {call["id"]: call for call in message["calls"]}
            return
        self.metrics |= message.get("metrics", {})
        self.calls |= {call["id"]: call for call in message.get("changed", ())}
        for call_id in message.get("removed", ()):
            self.calls.pop(call_id, None)

    def lasted(self, call: Mapping[str, Any]) -> str:
        """How long a call has been up, `m:ss`."""
        seconds = max(0, int(self.clock() + self.ahead_s - _epoch(call["started_at"])))
        return f"{seconds // 60}:{seconds % 60:02d}"


def screen(made: Screen) -> RenderableType:
    parts: list[RenderableType] = [_figures(made)]
    if made.away:
        parts.append(Text(f"{made.away} Trying again…" if made.calls or made.metrics else made.away, style="bold red"))
    if made.degraded:
        parts.append(Text(f"Not all calls are shown. {made.degraded}", style="bold yellow"))
    parts.append(_calls(made) if made.calls else Text("No calls are up.", style="dim"))
    return Group(*parts)


def _figures(made: Screen) -> Panel:
    line = Text()
    active = made.metrics.get("active_cc", {})
    limit = active.get("limit")
    if active.get("used") is not None:
        line.append(f"active {active['used']} / {_UNLIMITED if limit is None else limit}   ", style="bold")
    for label, name in _FIGURES:
        if name in made.metrics:
            line.append(f"{label} ")
            line.append(f"{cell(name, made.metrics[name])}   ", style="bold")
    return Panel(line, title="Live")


def _calls(made: Screen) -> Table:
    shown = Table(header_style="bold", box=None, pad_edge=False, expand=True)
    for name in ("status", "lasts", "caller", "number", "campaign", "source", "buyer", "stage"):
        shown.add_column(name, justify="right" if name == "lasts" else "left", overflow="ellipsis", no_wrap=True)
    for call in sorted(made.calls.values(), key=lambda each: (each["started_at"], each["id"])):
        status = Text(call["status"], style=_COLOURS.get(call["status"], ""))
        texts = (call[name] or "-" for name in ("caller", "number", "campaign", "source", "buyer", "stage"))
        shown.add_row(status, made.lasted(call), *map(Text, texts))
    return shown


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
