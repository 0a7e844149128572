"""What `dcx live` draws."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from rich.console import Console

from dcx_cli.live_screen import Screen, screen

pytestmark = pytest.mark.unit

CALL = {
    "id": "a",
    "status": "in-progress",
    "stage": "talking",
    "caller": "+12125550100",
    "number": "+18005550001",
    "campaign": "Solar",
    "source": "Radio",
    "started_at": "2026-03-10T18:59:00.000Z",
}


def test_the_screen() -> None:
    clock = datetime.fromisoformat("2026-03-10T19:00:30Z").timestamp()
    made = Screen(clock=lambda: clock)
    assert "Connecting" in drawn(made)
    at = "2026-03-10T19:00:00.000Z"
    shown = {**CALL, "buyer": "Acme", "buyer_ids": [1]}
    made.take({"type": "snapshot", "seq": 1, "at": at, "calls": [shown]})
    figures = {"active_cc": {"used": 5, "limit": None}, "ringing": 2, "revenue_today_cents": 12345}
    made.take({"type": "snapshot", "seq": 1, "at": at, "metrics": figures})
    text = drawn(made)
    assert "5 / ∞" in text
    assert "123.45" in text
    assert "Acme" in text
    assert "in-progress" in text
    assert "1:00" in text  # by the engine's clock, which is 30 s behind ours
    made.take({"type": "changes", "seq": 2, "at": at, "metrics": {"ringing": 3}})
    made.take(
        {"type": "changes", "seq": 2, "at": at, "changed": [{**shown, "id": "b", "buyer": "Best"}], "removed": ["a"]}
    )
    text = drawn(made)
    assert "ringing 3" in text
    assert "Best" in text
    assert "Acme" not in text
    made.take({"type": "changes", "seq": 3, "at": at, "degraded": "redis: away: only the calls of dcx-0 are shown"})
    assert "Not all calls are shown. redis: away: only the calls of dcx-0 are shown" in drawn(made)
    made.take({"type": "changes", "seq": 4, "at": at, "degraded": None})
    assert "Not all calls" not in drawn(made)
    made.away = "no engine answers"
    assert "no engine answers" in drawn(made)
    made.take({"type": "snapshot", "seq": 1, "at": at, "calls": []})
    assert "No calls are up" in drawn(made)
    assert "no engine" not in drawn(made)


def drawn(made: Screen) -> str:
    console = Console(width=160, file=io.StringIO())
    with console.capture() as capture:
        console.print(screen(made))
    return capture.get()
