"""Reports over a million calls, 30 of 60 days, beside the same GROUP BY written by hand for the plain driver of SQLite.

By hand once as SQLite likes to do it on the table alone (`NOT INDEXED`: what a report costs where nothing was
prepared for it), and once by the index that the report uses.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import event

from bench.calllog import timed, timed_plain
from bench.million import TO_MS, database
from bench.table import Row, Section, ratio
from dcx_ari.services.call_view import View
from dcx_ari.services.dashboard import comparative_stats, summary
from dcx_ari.services.performance import buyer_performance
from dcx_ari.services.reports import Report, Spec, report, spec_of
from dcx_ari.store.db import Database, open_database

GOAL_MS = 1000.0
NOW = TO_MS - 4 * 3_600_000
ZONE = ZoneInfo("America/New_York")
_FIGURES = (
    "COUNT(*), COUNT(connected_at), SUM(converted), SUM(talk_ms), SUM(revenue_cents), SUM(payout_cents), "
    "SUM(cost_cents)"
)
_CASES: Mapping[str, str] = {
    "buyer": "buyer_id",
    "buyer,day": "buyer_id, local_day",
    "campaign": "campaign_id",
    "source": "traffic_source_id",
    "state": "caller_state",
    "hour": "local_hour",
    "status": "status",
}


def section(quick: bool) -> Section:
    path, rounds = database(), 3 if quick else 7
    return asyncio.run(_measure(path, rounds))


async def _measure(path: Path, rounds: int) -> Section:
    opened = open_database(f"sqlite:///{path}")
    found, plans = Section("Reports"), []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as plain:
            plain.execute("PRAGMA cache_size = -16000")
            for name, columns in _CASES.items():
                found.rows.extend(await _case(opened, plain, name, columns, rounds))
        plans.append(await _plan(opened, spec_of("buyer", date_range="last_30_days")))
        found.rows.extend(await _dashboard(opened, rounds))
    finally:
        await opened.close()
    found.notes.extend(
        [
            "SQLite, 1,000,000 calls of 60 days; medians. Ours is what `GET /api/calls/report` and `dcx report calls` "
            "call, with names, shares and totals, for the 30 days that end with the data.",
            "No rollup tables: one index that the call log needs as well has all columns, and sums are never stale.",
            f"Plan of the report by buyer: `{plans[0]}`",
        ]
    )
    return found


async def _case(opened: Database, plain: sqlite3.Connection, name: str, columns: str, rounds: int) -> list[Row]:
    spec = spec_of(name, date_range="last_30_days")
    ours = await timed(rounds, lambda: _report(opened, spec))
    days = (await _report(opened, spec)).days
    where = f"started_at >= {days.from_ms} AND started_at < {days.to_ms} AND NOT test"
    sql = f"SELECT {columns}, {_FIGURES} FROM calls {{}} WHERE {where} GROUP BY {columns}"  # noqa: S608
    bare = timed_plain(max(1, rounds // 3), plain, sql.format("NOT INDEXED"))
    by_index = timed_plain(rounds, plain, sql.format("INDEXED BY ix_calls_log"))
    goal = f"≤ {GOAL_MS:g} ms"
    return [
        Row(f"by {name}", "30 days", "ms", ours, bare, "by hand, no index", ratio(ours, bare), goal, ours <= GOAL_MS),
        Row(f"by {name}", "30 days", "ms", ours, by_index, "by hand, that index", ratio(ours, by_index)),
    ]


async def _dashboard(opened: Database, rounds: int) -> list[Row]:
    view = View(ZONE)

    async def compared() -> None:
        async with opened.read() as session:
            await comparative_stats(session, view, NOW)

    async def widgets() -> None:
        async with opened.read() as session:
            await summary(session, view, NOW)

    async def buyers() -> None:
        async with opened.read() as session:
            await buyer_performance(session, view, NOW)

    parts = {"two days compared": compared, "widgets of today": widgets, "100 buyers": buyers}
    return [Row("dashboard", name, "ms", await timed(rounds, part)) for name, part in parts.items()]


async def _report(opened: Database, spec: Spec) -> Report:
    async with opened.read() as session:
        return await report(session, spec, View(ZONE), NOW)


async def _plan(opened: Database, spec: Spec) -> str:
    """What SQLite says of the statement that sums."""
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if "GROUP BY" in statement and not plans:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(", ".join(row[3] for row in cursor.fetchall()))

    engine = opened.engine.sync_engine
    event.listen(engine, "before_cursor_execute", explain)
    try:
        await _report(opened, spec)
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return plans[0] if plans else "none"
