"""Never one too many: tasks, processes and a process killed in the middle."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ledger_kit import hold, leg, new_file, shown, sql
from ledger_worker import BUYERS, caps

from dcx_ari.store.errors import StoreError
from dcx_ari.store.ledger import BadEntry, Ledger, Reserved
from dcx_ari.store.ledger.tx import Tx
from tests import databases

pytestmark = [pytest.mark.unit, pytest.mark.databases]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_file(tmp_path / "ledger.db")


@asynccontextmanager
async def worker(path: Path, name: str, calls: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own on the same file; killed at the end if it still runs."""
    script = str(Path(__file__).with_name("ledger_worker.py"))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        databases.where_of(path),
        name,
        str(calls),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def test_a_thousand_calls_for_the_last_slot(path: Path) -> None:
    ledgers = [Ledger(str(path), worker=f"dcx-{n}") for n in range(2)]
    answers = await asyncio.gather(*(ledgers[n % 2].reserve(f"c{n}", 1, leg(1)) for n in range(1000)))
    assert sum(isinstance(answer, Reserved) for answer in answers) == 1
    assert await shown(ledgers[0], leg()[2]) == (0, 1)
    assert await ledgers[0].verify() == []
    for ledger in ledgers:
        await ledger.close()


async def test_one_bad_request_spoils_no_other_in_its_batch(path: Path) -> None:
    ledger = Ledger(str(path))
    answers = await asyncio.gather(
        *(ledger.reserve(f"c{n}", 1, [hold(limit=10, amount=-1 if n % 3 == 0 else 1)]) for n in range(30)),
        return_exceptions=True,
    )
    assert [isinstance(answer, BadEntry) for answer in answers] == [n % 3 == 0 for n in range(30)]
    assert sum(isinstance(answer, Reserved) for answer in answers) == 10
    assert await ledger.verify() == []
    await ledger.close()


class BadStatement:
    """A request whose SQL fails."""

    def apply(self, tx: Tx) -> None:
        tx.connection.many("INSERT INTO nowhere VALUES (?)", [(1,)])


async def test_a_statement_that_fails_spoils_no_reservation(path: Path) -> None:
    ledger = Ledger(str(path))
    *answers, failed = await asyncio.gather(
        *(ledger.reserve(f"c{n}", 1, leg(50)) for n in range(9)),
        ledger.submit(BadStatement()),
        return_exceptions=True,
    )
    assert all(isinstance(answer, Reserved) for answer in answers)
    assert isinstance(failed, StoreError)
    assert await shown(ledger, leg()[0]) == (0, 9)
    await ledger.close()


async def test_a_cancelled_asker_can_release_what_it_may_have_taken(path: Path) -> None:
    ledger = Ledger(str(path))
    tasks = [asyncio.ensure_future(ledger.reserve(f"c{n}", 1, leg(50))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(ledger.release(f"c{n}", 1) for n in range(20)))
    assert await shown(ledger, leg()[0]) == (0, 0)
    await ledger.close()


async def test_four_processes_race_for_mixed_caps(path: Path, dbms: str) -> None:
    calls = 500 if dbms == "sqlite" else 250

    async def run(name: str) -> int | None:
        async with worker(path, name, calls) as child:
            await child.communicate()
            return child.returncode

    assert await asyncio.gather(*(run(f"dcx-{n}") for n in range(4))) == [0] * 4
    ledger = Ledger(str(path))
    assert await ledger.verify() == []
    limits = {h.key: h.limit for buyer in range(BUYERS) for h in caps(buyer) if h.limit is not None}
    counters = await ledger.figures({key[:2] for key in limits}, {key.period_key for key in limits})
    assert all(sum(counters[key]) <= limit for key, limit in limits.items())
    assert all(figure.held == 0 for figure in counters.values())
    tops = sql(
        ledger,
        "SELECT scope, scope_id, metric, period, MAX(limit_value) - MAX(level), MAX(amount) FROM cap_holds "
        "WHERE limit_value IS NOT NULL GROUP BY scope, scope_id, metric, period",
    )
    reached = {row[:4] for row in tops if row[4] < row[5]}  # no room for one more
    assert {(*key[:4],) for key in limits if key.scope_id in (0, 1, 2, 3) and key.scope == "buyer"} <= reached
    revenue = sql(ledger, "SELECT SUM(amount_cents) FROM money_entries")[0][0]
    booked = sql(ledger, "SELECT SUM(amount) FROM cap_entries WHERE metric = 'revenue_cents'")[0][0]
    assert revenue == booked > 0
    await ledger.close()


async def test_a_killed_process_leaves_holds_that_are_freed_once(path: Path) -> None:
    said: set[tuple[str, str]] = set()
    async with worker(path, "dcx-1", 0) as child:
        assert child.stdout is not None
        while len(said) < 60:
            verb, name = (await child.stdout.readline()).decode().split()
            said.add((verb, name))
        child.kill()
    ledger = Ledger(str(path), worker="dcx-0")
    assert await ledger.verify() == []
    open_calls = {row[0] for row in sql(ledger, "SELECT call_id FROM cap_holds WHERE state = 'held'")}
    closed = {row[0] for row in sql(ledger, "SELECT call_id FROM cap_holds WHERE state <> 'held'")}
    assert {name for verb, name in said if verb == "reserved"} <= open_calls | closed
    assert {name for verb, name in said if verb == "settled"} <= closed
    live = set(sorted(open_calls)[:2])
    far = 1 << 62
    freed = await ledger.release_orphans(live, before=far, worker="dcx-1")
    assert {one.call_id for one in freed} == open_calls - live
    assert await ledger.release_orphans(live, before=far, worker="dcx-1") == []
    assert await shown(ledger, hold("attempt", "concurrent")) == (0, 2)
    assert {one.call_id for one in await ledger.release_orphans([], before=far, worker="dcx-1")} == live
    assert await shown(ledger, hold("attempt", "concurrent")) == (0, 0)
    assert await ledger.verify() == []
    await ledger.close()
