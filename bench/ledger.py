"""The ledger under load, beside the select-then-update that most systems do, on the same database file.

Run alone with `python -m bench.ledger`. A call is one reserve and one settle of 8 holds, two commits it waits for; its
time is both together.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiosqlite
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from bench.table import Row, percentile, ratio, rows_table
from dcx_ari.decide.caps import Hold, Outcome
from dcx_ari.store.ledger import Ledger, Refused
from dcx_ari.store.ledger.models import TABLES
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call
from dcx_asterisk.servers import postgres

TASKS = 8
BUYERS = 100
CAP = 50
NOTES = (
    "reserve + settle: 8 holds per call, 8 tasks at once, 100 buyers; every hold, entry and counter is"
    " written, and both answers come after their commit",
    "the naive way reads the 8 counters, compares, then updates them, one connection per task; it keeps no"
    " holds and no entries, so it can neither be verified nor recover from a crash",
    "PostgreSQL waits for the disk at every commit (fsync); SQLite, in WAL mode with synchronous=NORMAL, does not: a"
    " power cut can take its last commits",
    f"last slots: 8 tasks call one buyer with a cap of {CAP} until nothing is left; oversold: beyond it",
)


@dataclass(frozen=True, slots=True)
class Speed:
    """Calls per second, and the 99th percentile of a call's two steps together in ms."""

    rate: float
    p99_ms: float


def holds(buyer: int, limit: int) -> tuple[Hold, ...]:
    """8 holds of a usual buyer: concurrency, calls per period, conversions and revenue."""
    return (
        Hold("buyer", buyer, "connect", "hour", "2026-05-01T10+0000", 1, limit),
        Hold("buyer", buyer, "connect", "day", "2026-05-01", 1, limit),
        Hold("buyer", buyer, "connect", "month", "2026-05", 1, limit),
        Hold("buyer", buyer, "connect", "total", "all", 1, limit),
        Hold("buyer", buyer, "convert", "day", "2026-05-01", 1, limit),
        Hold("buyer", buyer, "revenue_cents", "day", "2026-05-01", 1500, limit * 1500),
        Hold("buyer", buyer, "attempt", "concurrent", "now", 1, limit),
        Hold("group", buyer % 5, "connect", "day", "2026-05-01", 1, None),
    )


async def timed(calls: int, one: Callable[[int, int], Awaitable[None]]) -> Speed:
    """Spread the calls over the tasks; `one(task, n)` makes call n."""
    spent: list[float] = []

    async def task(number: int) -> None:
        for n in range(number, calls, TASKS):
            begun = time.perf_counter()
            await one(number, n)
            spent.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(TASKS):
            group.create_task(task(number))
    return Speed(calls / (time.perf_counter() - begun), percentile(spent, 99))


async def safe_speed(where: str, calls: int) -> tuple[Speed, int]:
    """The ledger; and the number of differences that verify finds afterwards."""
    ledger = Ledger(where)

    async def one(_: int, n: int) -> None:
        call = f"bench-{n}"
        await ledger.reserve(call, 1, holds(n * 7 % BUYERS, 1_000_000))
        await ledger.settle(call, 1, Outcome(answered=True, conversions=1, revenue_cents=1200))

    speed = await timed(calls, one)
    wrong = len(await ledger.verify())
    await ledger.close()
    return speed, wrong


async def safe_last_slots(where: str, calls: int) -> int:
    """Calls let in beyond the cap."""
    ledger = Ledger(where)
    sold = 0

    async def one(_: int, n: int) -> None:
        nonlocal sold
        wanted = holds(BUYERS + 1, CAP)
        if not isinstance(await ledger.reserve(f"last-{n}", 1, wanted), Refused):
            sold += 1
            await ledger.settle(f"last-{n}", 1, Outcome(answered=True))

    await timed(calls, one)
    await ledger.close()
    return max(0, sold - CAP)


TABLE = (
    "CREATE TABLE naive (scope, scope_id, metric, period, period_key, used,"
    " PRIMARY KEY (scope, scope_id, metric, period, period_key))"
)
SELECT = "SELECT used FROM naive WHERE scope = ? AND scope_id = ? AND metric = ? AND period = ? AND period_key = ?"
UPDATE = "INSERT INTO naive VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = used + excluded.used"


async def naive(path: Path, calls: int, buyer: Callable[[int], int], limit: int) -> tuple[Speed, int]:
    """Select, compare, update; after the call the concurrency is given back. Speed, and the calls let in."""
    links = [await aiosqlite.connect(path, isolation_level=None, timeout=30) for _ in range(TASKS)]
    for link in links:
        await link.execute("PRAGMA synchronous = NORMAL")
    sold = 0

    async def one(task: int, n: int) -> None:
        nonlocal sold
        link = links[task]
        wanted = holds(buyer(n), limit)
        for hold in wanted:
            async with link.execute(SELECT, hold.key) as cursor:
                row = await cursor.fetchone()
            if hold.limit is not None and (row[0] if row else 0) + hold.amount > hold.limit:
                return
        sold += 1
        await link.execute("BEGIN IMMEDIATE")
        await link.executemany(UPDATE, [(*hold.key, hold.amount) for hold in wanted])
        await link.execute("COMMIT")
        await link.execute(UPDATE, (*wanted[6].key, -1))

    speed = await timed(calls, one)
    for link in links:
        await link.close()
    return speed, sold


async def measure(calls: int, slots: int) -> list[Row]:
    """All figures on one fresh file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        prepare(path)
        speed, wrong = await safe_speed(str(path), calls)
        over = await safe_last_slots(str(path), slots)
        naive_speed, _ = await naive(path, max(200, calls // 8), lambda n: n * 7 % BUYERS, 1_000_000)
        _, sold = await naive(path, slots, lambda n: BUYERS + 1, CAP)
    there, wrong_there, over_there = await _on_postgres(calls, slots)
    load, rival = "reserve + settle, 8 holds, 8 tasks", "select-then-update"
    pg, file = f"{load}, PostgreSQL", "the same on SQLite"
    return [
        Row(
            load,
            "calls",
            "calls/s",
            speed.rate,
            naive_speed.rate,
            rival,
            ratio(speed.rate, naive_speed.rate),
            "≥ 1,500 calls/s",
            speed.rate >= 1500,
        ),
        Row(
            load,
            "p99",
            "ms",
            speed.p99_ms,
            naive_speed.p99_ms,
            rival,
            ratio(speed.p99_ms, naive_speed.p99_ms),
            "≤ 15 ms",
            speed.p99_ms <= 15,
        ),
        Row(
            f"{slots} calls for {CAP} slots",
            "oversold",
            "calls",
            over,
            sold - CAP,
            rival,
            None,
            "0",
            over == 0,
        ),
        Row(load, "verify differences", "", wrong, None, "", None, "0", wrong == 0),
        Row(pg, "calls", "calls/s", there.rate, speed.rate, file, ratio(there.rate, speed.rate), "", None),
        Row(pg, "p99", "ms", there.p99_ms, speed.p99_ms, file, ratio(there.p99_ms, speed.p99_ms), "", None),
        Row(pg, "oversold", "calls", over_there, over, file, None, "0", over_there == 0),
        Row(pg, "verify differences", "", wrong_there, wrong, file, None, "0", wrong_there == 0),
    ]


async def _on_postgres(calls: int, slots: int) -> tuple[Speed, int, int]:
    """Speed, differences, oversold; on a server of its own with the safe settings that it comes with."""
    with TemporaryDirectory() as folder, postgres(Path(folder) / "postgres", durable=True) as url:
        await migrate(url)
        speed, wrong = await safe_speed(url, calls)
        return speed, wrong, await safe_last_slots(url, slots)


def prepare(path: Path) -> None:
    """The ledger's tables and the naive one in a new file in WAL mode."""
    engine = create_engine(f"sqlite:///{path}")
    SQLModel.metadata.create_all(engine, tables=[*TABLES, Call.__table__])
    engine.dispose()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(TABLE)
    db.close()


def rows(quick: bool) -> list[Row]:
    """The rows of this part of the bench."""
    return asyncio.run(measure(2000 if quick else 8000, 400))


if __name__ == "__main__":
    print(rows_table(rows("--quick" in sys.argv)))
