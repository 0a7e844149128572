"""CSV in and out: 10,000 buyers into the exchange, a million calls out of it, and what that takes of memory.

Each figure is taken in a process of its own (`python -m bench.csv TASK COUNT DATABASE`), so that its memory is its own.
"""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from bench.million import database
from bench.table import Row, median, ratio

HEADER = "name,endpoint_type,endpoint_value,tier,weight,revenue_cents,daily_cap,monthly_cap"
NOTES = (
    "import: buyers that are new, every row checked by the rules of single rows, written with its audit entry in"
    " transactions of 200; beside it `executemany` of the cells as they are, in one transaction: no checks, no audit",
    "export: all calls with times in RFC 3339, names of campaign, source, buyer and number, and the recording, in parts"
    " of 4,000 with a query each; beside it one open cursor of `sqlite3` and `csv.writer` over the same columns, raw",
    "resident: the most that the process had (VmHWM), Python and libraries included",
)
COLUMNS = (
    "id, started_at, answered_at, connected_at, ended_at, status, direction, caller, caller_name, caller_state,"
    " caller_city, dialled, number_id, campaign_id, traffic_source_id, buyer_id, group_id, talk_ms, billable_ms,"
    " revenue_cents, payout_cents, cost_cents, converted, converted_at, source_converted, outcome, failure_reason,"
    " ended_by, cause, test"
)


def rows(quick: bool) -> list[Row]:
    """The figures of this part."""
    buyers, calls, many = (1_000, 20_000, 5_000) if quick else (10_000, 1_000_000, 100_000)
    runs = 1 if quick else 3
    made = str(database(calls))
    mine = [_apart("import", buyers) for _ in range(runs)]
    raw = [_apart("raw-import", buyers)["seconds"] for _ in range(runs)]
    ours, rival = median([each["seconds"] for each in mine]), median(raw)
    large = _apart("import", many)
    out, plain = _apart("export", calls, made), _apart("raw-export", calls, made)
    rate, plain_rate = calls / out["seconds"], calls / plain["seconds"]
    goal = quick or (ours or 99) <= 5, quick or rate >= 50_000
    least = "≥ 50,000 rows/s"
    return [
        Row(
            f"import, {buyers:,} buyers",
            "time",
            "s",
            ours,
            rival,
            "executemany, unchecked",
            ratio(ours, rival),
            "≤ 5 s",
            goal[0],
        ),
        _memory(f"import, {buyers:,} buyers", max(each["mb"] for each in mine)),
        _memory(f"import, {many:,} buyers", large["mb"]),
        Row(
            f"export, {calls:,} calls",
            "rows",
            "rows/s",
            rate,
            plain_rate,
            "sqlite3 and csv, raw",
            ratio(rate, plain_rate),
            least,
            goal[1],
        ),
        _memory(f"export, {calls:,} calls", out["mb"]),
    ]


def _memory(subject: str, mb: float) -> Row:
    return Row(subject, "resident", "MB", mb, goal="< 150 MB", ok=mb < 150)


def _apart(task: str, count: int, path: str = "") -> dict[str, float]:
    command = [sys.executable, "-m", "bench.csv", task, str(count), path]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{task}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _import(count: int, _path: str) -> float:
    from dcx_ari.services.importing import import_csv
    from dcx_ari.services.resources import RESOURCES
    from dcx_ari.store.db import open_database
    from dcx_ari.store.migrate import migrate

    async def work(folder: Path, file: IO[bytes]) -> float:
        opened = open_database(f"sqlite:///{folder}/dcx.db")
        try:
            await migrate(opened)
            begun = time.perf_counter()
            report = await import_csv(opened, RESOURCES["buyers"], file)
            spent = time.perf_counter() - begun
            if (report.created, report.failed) != (count, 0):
                raise RuntimeError(f"not all rows landed: {report.created} of {count}")
            return spent
        finally:
            await opened.close()

    with TemporaryDirectory() as name, _file(Path(name), count).open("rb") as file:
        return asyncio.run(work(Path(name), file))


def _raw_import(count: int, _path: str) -> float:
    with TemporaryDirectory() as name:
        path = _file(Path(name), count)
        with closing(sqlite3.connect(Path(name) / "raw.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"CREATE TABLE buyers (id INTEGER PRIMARY KEY, {HEADER}, UNIQUE (name))")
            begun = time.perf_counter()
            with path.open(newline="") as file:
                reader = csv.reader(file)
                next(reader)
                connection.execute("BEGIN")
                marks = ", ".join("?" * 8)
                connection.executemany(f"INSERT INTO buyers ({HEADER}) VALUES ({marks})", reader)  # noqa: S608
                connection.execute("COMMIT")
            return time.perf_counter() - begun


def _file(folder: Path, count: int) -> Path:
    path = folder / "buyers.csv"
    with path.open("w") as file:
        file.write(f"{HEADER}\n")
        for n in range(count):
            file.write(f'"Buyer {n}",PHONE_NUMBER,+1512{2_000_000 + n},{n % 4},{n % 100},1000,50,1500\n')
    return path


def _export(count: int, path: str) -> float:
    from dcx_ari.services.export_calls import export_calls
    from dcx_ari.services.listing import Query
    from dcx_ari.store.db import open_database

    async def work() -> float:
        opened = open_database(f"sqlite:///{path}")
        try:
            begun, lines = time.perf_counter(), 0
            async for part in export_calls(opened, Query()):
                lines += part.count(b"\n")
            if lines != count + 1:
                raise RuntimeError(f"{lines} lines of {count} calls")
            return time.perf_counter() - begun
        finally:
            await opened.close()

    return asyncio.run(work())


def _raw_export(_count: int, path: str) -> float:
    with closing(sqlite3.connect(path)) as connection:
        begun = time.perf_counter()
        cursor = connection.execute(f"SELECT {COLUMNS} FROM calls ORDER BY started_at DESC, id DESC")  # noqa: S608
        while part := cursor.fetchmany(2_000):
            csv.writer(io.StringIO()).writerows(part)
        return time.perf_counter() - begun


def _most_mb() -> float:
    """The most that this process was resident."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


TASKS: dict[str, Callable[[int, str], float]] = {
    "import": _import,
    "raw-import": _raw_import,
    "export": _export,
    "raw-export": _raw_export,
}

if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps({"seconds": TASKS[sys.argv[1]](int(sys.argv[2]), sys.argv[3]), "mb": _most_mb()}))
    else:
        from bench.table import rows_table

        print(rows_table(rows("--quick" in sys.argv)))
