"""The call log's first page over a million calls: three filters at once, beside the same query written by hand.

The rival is the plain driver of SQLite reading the same 51 rows: once by whatever indexes it likes, once without any.
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import event

from bench.million import TO_MS, database
from bench.table import Row, Section, ratio
from dcx_ari.services.calls import count_calls, list_calls
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database, open_database

GOAL_MS = 50.0
_DAY_MS = 86_400_000
_WEEK = f"started_at >= {TO_MS - 7 * _DAY_MS + 4 * 3_600_000}"  # 2026-10-25 begins in New York
_WORST = "matched by nothing"
_CASES: Mapping[str, tuple[dict[str, list[str]], str]] = {
    "status, buyer, a week": (
        {"status": ["completed"], "buyer": ["Buyer 7"], "date_from": ["2026-10-25"]},
        f"status = 'COMPLETED' AND buyer_id = 7 AND {_WEEK}",
    ),
    "3 buyers, 3 sources, status": (
        {"buyer": ["7", "8", "9"], "source": ["2", "3", "4"], "status": ["completed"]},
        "buyer_id IN (7, 8, 9) AND traffic_source_id IN (2, 3, 4) AND status = 'COMPLETED'",
    ),
    "state, converted, ≥ 10 min": (
        {"caller_state": ["WI"], "has_conversion": ["true"], "duration_min": ["600"]},
        "caller_state = 'WI' AND converted AND talk_ms >= 600000",
    ),
    "9–17 o'clock, revenue, no recording": (
        {"time_of_day": ["09:00-17:00"], "revenue_max": ["0"], "has_recording": ["false"]},
        "local_minute >= 540 AND local_minute < 1020 AND revenue_cents <= 0 AND NOT EXISTS "
        "(SELECT 1 FROM recordings r WHERE r.call_id = calls.id AND r.state = 'ready' AND r.deleting_at IS NULL)",
    ),
    "repeat callers, campaign, source": (
        {"duplicate": ["true"], "campaign": ["Campaign 3"], "source": ["Source 3"]},
        "campaign_id = 3 AND traffic_source_id = 3 AND caller LIKE '+%' AND EXISTS (SELECT 1 FROM calls b WHERE "
        "b.caller = calls.caller AND b.started_at < calls.started_at AND b.campaign_id = calls.campaign_id "
        "AND NOT b.test)",
    ),
    _WORST: (
        {"caller_state": ["ZZ"], "has_conversion": ["true"], "direction": ["outbound"]},
        "caller_state = 'ZZ' AND converted AND direction = 'outbound'",
    ),
}
_COLUMNS = "id, started_at, status, caller, number_id, campaign_id, buyer_id, talk_ms, revenue_cents, payout_cents"


def section(quick: bool) -> Section:
    path, rounds = database(), 5 if quick else 15
    return asyncio.run(_measure(path, rounds))


async def _measure(path: Path, rounds: int) -> Section:
    opened = replace(open_database(f"sqlite:///{path}"), info={"zone": ZoneInfo("America/New_York")})
    found = Section("Call log")
    plans: list[str] = []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as plain:
            plain.execute("PRAGMA cache_size = -16000")
            for name, (filters, sql) in _CASES.items():
                found.rows.extend(await _case(opened, plain, name, filters, sql, rounds))
                plans.append(f"{name}: `{await _plan(opened, filters)}`")
    finally:
        await opened.close()
    found.notes.extend(
        [
            "SQLite, 1,000,000 calls of 60 days; medians. Ours is what `GET /api/calls` and `dcx calls list` call: "
            "50 rows with names and tags; the total is counted up to 100,000.",
            "By hand: ten columns of the same rows, no names, no tags. Without indexes: the same, `NOT INDEXED`.",
            f"{_WORST.capitalize()}: no goal, shown as the worst that can be asked. That nothing matches is known only "
            "when the whole index of a million entries is read; a range of dates shortens it.",
            "Plans of the first page, without the rows themselves: " + "; ".join(plans),
        ]
    )
    return found


async def _case(
    opened: Database, plain: sqlite3.Connection, name: str, filters: dict[str, list[str]], where: str, rounds: int
) -> list[Row]:
    query = Query(filters, limit=50)
    page = await timed(rounds, lambda: _page(opened, query))
    total = await timed(rounds, lambda: _total(opened, query))
    page_sql = f"SELECT {_COLUMNS} FROM calls {{}} WHERE {where} ORDER BY started_at DESC, id DESC LIMIT 51"  # noqa: S608
    count_sql = f"SELECT COUNT(*) FROM calls WHERE {where}"  # noqa: S608
    by_hand = timed_plain(rounds, plain, page_sql.format(""))
    bare = timed_plain(max(3, rounds // 5), plain, page_sql.format("NOT INDEXED"))
    counted = timed_plain(max(3, rounds // 5), plain, count_sql)
    return [
        Row(
            name,
            "first page",
            "ms",
            page,
            by_hand,
            "by hand",
            ratio(page, by_hand),
            f"≤ {GOAL_MS:g} ms",
            page <= GOAL_MS,
        ),
        Row(name, "first page", "ms", page, bare, "no indexes", ratio(page, bare)),
        Row(name, "its total", "ms", total, counted, "COUNT(*)", ratio(total, counted)),
    ]


async def _page(opened: Database, query: Query) -> None:
    async with opened.read() as session:
        await list_calls(session, query, count=False)


async def _total(opened: Database, query: Query) -> None:
    async with opened.read() as session:
        await count_calls(session, query)


async def timed(rounds: int, work: Callable[[], Any]) -> float:
    """Median in ms, after one turn that does not count."""
    await work()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def timed_plain(rounds: int, plain: sqlite3.Connection, sql: str) -> float:
    plain.execute(sql).fetchall()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        plain.execute(sql).fetchall()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


async def _plan(opened: Database, filters: dict[str, list[str]]) -> str:
    """What SQLite says of the statement that finds the page's ids."""
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if "LIMIT" in statement and "FROM calls" in statement and not plans:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(", ".join(row[3] for row in cursor.fetchall()))

    engine = opened.engine.sync_engine
    event.listen(engine, "before_cursor_execute", explain)
    try:
        await _page(opened, Query(filters, limit=50))
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return plans[0] if plans else "none"
