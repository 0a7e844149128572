"""Twenty-four hours of traffic in virtual time: after the first hour the engine carries nothing more than before."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.store import journal
from tests.sim.day import CURVE, Day
from tests.sim.exchange import Exchange, exchange
from tests.sim.weights import Weight, weigh

pytestmark = [pytest.mark.sim, pytest.mark.sqlite_only]

CALLS = int(os.environ.get("CALLS_A_DAY", "600"))
HOURS = 24
LAST = 3
"""What grows is above the first hour's figure at the end of each of the last three."""
OBJECTS, OBJECTS_PER_CALL = 700, 0.5
BYTES, BYTES_PER_CALL = 250_000, 300
"""How much more there may be in the end. The jobs of midnight make statements that they have not made before, once,
however many calls there were.
"""
SELDOM = 120
"""An idle engine looks at its clocks and its database some ten times a second. Half a minute of real time has no room
for a day of that, so those periods are this many times as long."""
PERIODS = {
    "app": ("_ALIVE_S", "_HOUSEKEEPING_S"),
    "configuration": ("_WATCH_S",),
    "jobs": ("LEASE_S", "RENEW_S", "LOOK_S", "_RECORD_MS", "_LONGEST_S"),
    "live": ("SWEEP_S",),
    "neighbours": ("ALONE_S",),
    "outbox": ("POLL_S",),
    "services.callback_reminders": ("_LOOK_MS",),
    "services.cap_alerts": ("LOOK_MS",),
    "services.offline_buyers": ("LOOK_MS",),
    "services.scheduled_reports": ("LOOK_MS",),
    "unfinished": ("_LOOK_MS",),
    "voicemails": ("_LOOK_S",),
}
SHARED = 20
COUNTER = "dcx_ari.decide.caps.CounterKey"
COUNTERS_PER_HOUR = 25
BY_DESIGN = {
    "held engine.journal._shared": SHARED,
    # Counters of hours and days are kept for three days: of nine buyers, a group, 4 campaigns and a source.
    "held engine.ledger._mirror.counters": HOURS * COUNTERS_PER_HOUR,
    f"class {COUNTER}": HOURS * COUNTERS_PER_HOUR + 50,
}
"""What may grow within a day, and up to what."""


@pytest.fixture(autouse=True)
def _seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, periods in PERIODS.items():
        module = importlib.import_module(f"dcx_ari.{name}")
        for period in periods:
            monkeypatch.setattr(module, period, getattr(module, period) * SELDOM)
    monkeypatch.setattr(journal, "_KEEP_SHARED", SHARED)


class Complaints(logging.Handler):
    """What the engine logs, counted. (pytest's own handlers would keep every record, and all that it names.)"""

    def __init__(self) -> None:
        super().__init__()
        self.errors: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.errors[record.getMessage()] += 1


@pytest.mark.flaky(reruns=1)  # it weighs the whole process, and so whatever else its threads did in that hour
async def test_a_day_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints, weights = Complaints(), list[Weight]()
    settings = {"webhook_allow": "127.0.0.1", "transcriber": "none"}
    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [complaints])
        async with exchange(tmp_path / "home", jobs=True, settings=settings) as x:
            day = Day(x, random.Random(7))
            async with day.prepared():
                roots = {"engine": x.engine, "asterisk": x.fake}
                weigh(roots)  # the first time leaves something behind itself
                for hour in range(HOURS):
                    await day.hour(hour, round(CALLS * CURVE[hour] / sum(CURVE)))
                    if hour in (0, *range(HOURS - LAST, HOURS)):
                        x.engine.database.engine.clear_compiled_cache()  # of some hundred statements at most
                        weights.append(weigh(roots, size=hour in (0, HOURS - 1)))
                await every_call_is_accounted_for(x, day)
    print(f"\n{table(day, weights)}")
    assert not complaints.errors
    assert grown(weights) == {}
    first, last, calls = weights[0], weights[-1], len(day.channels)
    counters = last.classes[COUNTER] - first.classes[COUNTER]
    assert last.objects - first.objects - counters <= OBJECTS + OBJECTS_PER_CALL * calls
    assert last.size - first.size <= BYTES + BYTES_PER_CALL * calls


def grown(weights: Sequence[Weight]) -> dict[str, tuple[int, int]]:
    """What was more at the end of each of the last hours than after the first one: name to (then, at the end)."""
    first, *_, end = weights
    since = [each.grown(first) for each in weights[-LAST:]]
    return {
        name: (first_count, now)
        for name, (first_count, now) in end.grown(first).items()
        if all(name in each for each in since) and now > BY_DESIGN.get(name, 0)
    }


async def every_call_is_accounted_for(x: Exchange, day: Day) -> None:
    rows = await x.over()
    assert Counter(row["channel_id"] for row in rows) == Counter(day.channels)
    assert all(row["ended_at"] and row["status"] and row["stage"] == "ended" for row in rows)
    assert await x.query("SELECT * FROM legs WHERE ended_at IS NULL") == []
    assert {row["state"] for row in await x.query("SELECT state FROM recordings")} == {"ready"}
    assert {row["audio"] for row in await x.query("SELECT audio FROM voicemails")} == {"ready"}
    assert Counter(day.told) == Counter(row["id"] for row in rows)
    assert await x.query("SELECT * FROM outbox WHERE state <> 'delivered'") == []
    statuses = {row["status"] for row in rows}
    assert statuses >= {"COMPLETED", "ABANDONED", "VOICEMAIL", "FAILED"}
    assert {"no_number", "node_lost", "caller_hung_up"} <= {row["failure_reason"] for row in rows}
    assert {row["result"] for row in await x.query("SELECT result FROM legs")} >= {"answered", "busy", "no_answer"}
    assert "recovering" in await x.kinds()


def table(day: Day, weights: Sequence[Weight]) -> str:
    first, last = weights[0], weights[-1]
    figures: dict[str, tuple[Any, Any]] = {
        "tasks": (sum(first.tasks.values()), sum(last.tasks.values())),
        "timers": (first.timers, last.timers),
        "open files": (first.files, last.files),
        "threads": (first.threads, last.threads),
        "objects": (first.objects, last.objects),
        "bytes": (first.size, last.size),
    }
    lines = [f"{len(day.channels)} calls: {dict(day.kinds)}", f"{'':12}{'hour 1':>12}{f'hour {HOURS}':>12}"]
    return "\n".join([*lines, *(f"{name:12}{then:12,}{now:12,}" for name, (then, now) in figures.items())])


class Leaky:
    """Everything that an engine might forget to put away."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.kept: list[Any] = []
        self.over = threading.Event()

    def leak(self, what: str, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        if what == "held":
            self.calls.append("01kjqx3h2m84ky9hp2mw")
        elif what == "task":
            self.kept.append(loop.create_task(asyncio.Event().wait(), name=f"call {len(self.kept)}"))
        elif what == "timers":
            loop.call_later(1e6, print)
        elif what == "files":
            self.kept.append((folder / "open").open("w"))
        else:
            thread = threading.Thread(target=self.over.wait)
            thread.start()
            self.kept.append(thread)


Leaky.__module__ = "dcx_ari.leaky"


@pytest.mark.parametrize("what", ["held", "task", "timers", "files", "threads"])
async def test_the_scales_show(what: str, tmp_path: Path) -> None:
    leaky = Leaky()
    weights = []
    for _ in range(4):
        weights.append(weigh({"engine": leaky}))
        leaky.leak(what, tmp_path)
    leaky.over.set()
    for each in leaky.kept:
        if isinstance(each, asyncio.Task):
            each.cancel()
        elif isinstance(each, threading.Thread):
            each.join()
        else:
            each.close()
    assert what in {name.split()[0] for name in grown(weights)}
