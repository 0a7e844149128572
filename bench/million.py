"""A database with a million closed calls, made once and kept: what reports, the call log and exports are measured on.

`database()` gives its path: calls of 60 days up to `TO_MS`, 100 buyers, 20 campaigns, 30 sources, 50 numbers, with
legs, recordings and bookings; each call's money is the sum of its bookings. Whoever writes to it works on a copy.
The same code makes the same rows. Run alone (`python -m bench.million`) it makes the file and says where it is.
"""

import asyncio
import fcntl
import hashlib
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.million_calls import CALL as CALL_COLUMNS
from bench.million_calls import LEG, MONEY, RECORDING, Batch, calls_of
from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import MIGRATIONS, migrate
from dcx_ari.store.models import Buyer, Campaign, CampaignBuyer, Number, TrafficSource, Trunk
from dcx_ari.store.models.values import ConversionRule, Payout, Rate

CALLS = 1_000_000
DAYS = 60
TO_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z; the calls began before it, from `FROM_MS` on."""
FROM_MS = TO_MS - DAYS * 86_400_000
BUYERS, CAMPAIGNS, SOURCES, NUMBERS = 100, 20, 30, 50
_TABLES = ("calls", "legs", "recordings", "money_entries")


def database(calls: int = CALLS) -> Path:
    """The SQLite file; made where there is none yet, or where the schema or this code has changed."""
    folder = Path(tempfile.gettempdir()) / f"dcx-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"calls-{calls}-{_digest()}.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two benches at once: the second waits and finds it made
        if not path.exists():
            _make(path, calls)
            for old in folder.glob(f"calls-{calls}-*"):
                if not old.name.startswith(path.stem):
                    old.unlink()
    return path


def _digest() -> str:
    """Of everything that the file's content follows from."""
    here = Path(__file__)
    files = [here, here.with_name("million_calls.py"), *sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _make(path: Path, calls: int) -> None:
    making = path.with_suffix(".making")
    for left in making.parent.glob(f"{making.name}*"):
        left.unlink()
    asyncio.run(_configure(f"sqlite:///{making}"))
    with closing(sqlite3.connect(making, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -65536"):
            connection.execute(f"PRAGMA {pragma}")
        with _in_bulk(connection):
            for batch in calls_of(calls, FROM_MS, TO_MS):
                _insert(connection, batch)
        connection.execute("ANALYZE")
    with closing(sqlite3.connect(making)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    making.rename(path)


@contextmanager
def _in_bulk(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction in which the big tables have no indexes of their own: those are made afterwards, at once."""
    marks = ", ".join("?" * len(_TABLES))
    query = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({marks})"  # noqa: S608
    found = connection.execute(query, _TABLES).fetchall()
    for name, _ in found:
        connection.execute(f'DROP INDEX "{name}"')
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")
    for _, sql in found:
        connection.execute(sql)


def _insert(connection: sqlite3.Connection, batch: Batch) -> None:
    for table, columns, rows in (
        ("calls", CALL_COLUMNS, batch.calls),
        ("legs", LEG, batch.legs),
        ("recordings", RECORDING, batch.recordings),
        ("money_entries", MONEY, batch.money),
    ):
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608


async def _configure(url: str) -> None:
    """The rows of configuration that the calls name."""
    opened = open_database(url)
    try:
        await migrate(opened)
        async with opened.write() as session:
            for row in _configuration():
                session.add(row)
                await session.flush()
    finally:
        await opened.close()


def _configuration() -> Iterator[object]:
    made: dict[str, Any] = {"created_at": FROM_MS, "updated_at": FROM_MS}
    yield Trunk(name="carrier", host="127.0.0.1", is_default=True, rates=[Rate(cents_per_minute_x100=90)], **made)
    for n in range(1, SOURCES + 1):
        yield TrafficSource(
            name=f"Source {n}", channel=("web", "mobile", "IVR")[n % 3], payout=Payout(cents=800), **made
        )
    for n in range(1, CAMPAIGNS + 1):
        yield Campaign(name=f"Campaign {n}", vertical=("MEDICARE", "AUTO", "SOLAR")[n % 3], **made)
    for n in range(1, BUYERS + 1):
        yield Buyer(
            name=f"Buyer {n}",
            endpoint_value=f"+1512556{n:04d}",
            tier=n % 4,
            revenue_cents=1_500 + 10 * n,
            conversion_rules=[ConversionRule(threshold_s=90)],
            **made,
        )
        yield CampaignBuyer(campaign_id=(n - 1) // 5 + 1, buyer_id=n, **made)
    for n in range(1, NUMBERS + 1):
        campaign, source = (n - 1) % CAMPAIGNS + 1, (n - 1) % SOURCES + 1
        yield Number(phone_number=f"+1800555{n:04d}", campaign_id=campaign, traffic_source_id=source, **made)


if __name__ == "__main__":
    begun = time.monotonic()
    where = database(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
    print(f"{where}: {where.stat().st_size / 2**20:,.0f} MB, {time.monotonic() - begun:.1f} s")
