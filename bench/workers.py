"""Workers: two beside one and beside the floor, and what a `kill -9` costs.

Everything shares one machine: SIPp twice, Asterisk, and the engines. What a second worker brings depends on how many
cores are left for it.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from bench.bed import Bed, bed
from bench.findings import say
from bench.measure import Rig, measure, warm_up
from bench.proc import family, rss_mb, stat
from bench.seed import BUYERS
from bench.sipp import Load
from bench.subjects import DCX, FLOOR, Subject, Work, dcx_run
from bench.table import Row, Section, percentile, ratio

RATE = 100
STEPS = (100, 125, 150, 175, 200, 250)  # calls/s
STEP_S = 4
ADOPTED, LATE = 200, 20  # calls that talk when the worker is killed, and that come while it is away
GOAL_MS = 1000.0
_LOOK_S = 0.02
NOTES = (
    f"Setup: {RATE} calls/s for {STEP_S} s, median of the turns. Highest rate: steps of {', '.join(map(str, STEPS))} "
    f"calls/s for {STEP_S} s each, the last at which every call was whole.",
    f"kill -9: {ADOPTED} calls talk and {LATE} more come while the only worker is away; adoption runs from the new "
    "process's start of work (its libraries are loaded, nothing is connected) to the last call taken over.",
)


@dataclass(slots=True)
class Turns:
    """What the turns of one subject gave."""

    p99: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    each_mb: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def section(quick: bool) -> Section:
    """The figures of this part."""
    turns = asyncio.run(compare(1 if quick else 2, STEPS[:1] if quick else STEPS))
    killed = asyncio.run(kill())
    one, two, floor = turns["1 worker"], turns["2 workers"], turns[FLOOR.title]
    rows = []
    for name, mine in (("1 worker", one), ("2 workers", two)):
        rival = floor if mine is one else one
        named = FLOOR.title if mine is one else "1 worker"
        rows += [
            _row(f"{RATE} calls/s, {name}", "setup p99", "ms", mine.p99, rival.p99, named),
            _row(name, "highest rate", "calls/s", mine.highest, rival.highest, named),
            _row(name, "memory per worker", "MB", mine.each_mb, [], ""),
        ]
    rows += killed.rows
    trouble = [f"{name}: {what}" for name, each in turns.items() for what in each.trouble]
    return Section("Workers", rows=rows, notes=list(NOTES), failures=[*trouble, *killed.failures])


def _row(subject: str, figure: str, unit: str, ours: list[float], rival: list[float], name: str) -> Row:
    mine = percentile(ours, 50) if ours else None
    other = percentile(rival, 50) if rival else None
    return Row(subject, figure, unit, mine, other, name, ratio(mine, other))


# -- two beside one ------------------------------------------------------------------------------------------

Start = Callable[[Bed], AbstractAsyncContextManager[Work]]


def _dcx(workers: int) -> Start:
    @asynccontextmanager
    async def start(under: Bed) -> AsyncIterator[Work]:
        await under.asterisk.command(f"dialplan set global DCX_ENGINES {workers}")
        async with dcx_run(under, DCX.caller_host, buyers=BUYERS, caps=True, workers=workers) as work:
            yield work

    return start


async def compare(times: int, steps: tuple[int, ...]) -> dict[str, Turns]:
    """Each subject alone on one Asterisk, in turn."""
    subjects = {
        FLOOR.title: FLOOR,
        "1 worker": Subject("bench-one-worker", "1 worker", DCX.caller_host, _dcx(1)),
        "2 workers": Subject("bench-two-workers", "2 workers", DCX.caller_host, _dcx(2)),
    }
    found = {title: Turns() for title in subjects}
    for turn in range(times):
        for title, subject in subjects.items():
            say(f"turn {turn + 1} of {times}: {title}")
            async with bed() as under, subject.start(under) as work:
                await _one(Rig(under, subject, work), found[title], steps)
    return found


async def _one(rig: Rig, turns: Turns, steps: tuple[int, ...]) -> None:
    try:
        await warm_up(rig)
        highest = 0.0
        for rate in steps:
            run, complaint = await measure(rig, Load(rate, rate * STEP_S))
            if rate == RATE and run.p99 is not None:
                turns.p99.append(run.p99)
            if run.failed:
                if rate == RATE:
                    turns.trouble.append(f"{RATE} calls/s: {run.failed} failed: {complaint}")
                break
            highest = float(rate)
        turns.highest.append(highest)
        engines = [pid for pid in rig.work.pids if stat(pid) and "--worker" in _command(pid)] or rig.work.pids
        turns.each_mb.append(rss_mb(engines) / len(engines))
    except (RuntimeError, OSError, TimeoutError) as trouble:
        turns.trouble.append(str(trouble))


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


# -- kill -9 ------------------------------------------------------------------------------------------


async def kill() -> Section:
    """The only worker is killed while calls talk; its supervisor starts another."""
    subject = Subject("bench-killed", "kill -9", DCX.caller_host, _dcx(1))
    load = Load(rate=40, calls=ADOPTED + LATE, talk_ms=25_000, again=LATE)
    say(f"kill -9 with {ADOPTED} calls")
    seen: dict[str, float] = {}
    async with bed() as under, subject.start(under) as work:
        rig = Rig(under, subject, work)
        await warm_up(rig)

        async def during() -> None:
            await asyncio.sleep(ADOPTED / load.rate)
            await _until(work.home, "SELECT count(*) FROM calls WHERE stage = 'talking' AND ended_at IS NULL", ADOPTED)
            supervisor = work.pids[0]
            (worker,) = [pid for pid in family(supervisor) if "--worker" in _command(pid)]
            began = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            await _until(work.home, "SELECT count(*) FROM call_events WHERE kind = 'adopted'", ADOPTED)
            seen["away"] = time.monotonic() - began

        outcome = await rig.calls(load, during)
        await asyncio.sleep(1)
        failures = work.complaints(rig.placed)
        if outcome.failed:
            failures.append(f"{outcome.failed} of {load.calls} calls were not whole: {outcome.complaint}")
        adoption = _ask(
            work.home, "SELECT (SELECT max(at) FROM call_events WHERE kind = 'adopted') - started_at FROM workers"
        )
        count = _ask(work.home, "SELECT count(DISTINCT call_id) FROM call_events WHERE kind = 'adopted'")
    ok = adoption <= GOAL_MS
    rows = [
        Row(f"kill -9, {load.calls} calls", "whole calls", "", load.calls - outcome.failed, load.calls, "placed", None),
        Row(f"kill -9, {count:g} calls", "adoption", "ms", adoption, None, "", None, f"≤ {GOAL_MS:g} ms", ok),
        Row("kill -9", "from the kill to the last call taken over", "ms", seen["away"] * 1000),
    ]
    return Section("kill", rows=rows, failures=failures)


async def _until(home: Path, query: str, least: int) -> None:
    async with asyncio.timeout(20):
        while _ask(home, query) < least:  # noqa: ASYNC110 — rows of another process
            await asyncio.sleep(_LOOK_S)


def _ask(home: Path, query: str) -> float:
    with closing(sqlite3.connect(home / "dcx.db", timeout=5)) as books:
        (value,) = books.execute(query).fetchone()
        return float(value)
