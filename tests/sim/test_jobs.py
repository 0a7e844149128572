"""One process runs the jobs; when it dies or loses its lease, another does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.jobs import LEASE_S, TAKEOVER_S, Job, Jobs, Standing
from dcx_ari.store import leases
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import JobRun

pytestmark = [pytest.mark.sim, pytest.mark.databases]
EPOCH_MS = 1_800_000_000_000


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


def clock() -> int:
    return EPOCH_MS + round(asyncio.get_running_loop().time() * 1000)


class Process:
    """One process that could run the jobs: when each ran, and whether its standing work is at work."""

    def __init__(self, db: Database, name: str, every_s: float = 1.0) -> None:
        self.ran: list[float] = []
        self.standing = 0
        self.every_ms = round(every_s * 1000)
        self.jobs = Jobs(db, name, [Job("tick", self.tick)], [Standing("stand", self.stand)], clock=clock)
        self.task = asyncio.get_running_loop().create_task(self.jobs.run())

    async def tick(self, now: int) -> int:
        self.ran.append(asyncio.get_running_loop().time())
        return now + self.every_ms

    async def stand(self) -> None:
        self.standing += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.standing -= 1

    async def stop(self) -> None:
        """As SIGTERM."""
        await cancel_and_wait(self.task)


async def test_one_of_three_works_and_keeps_its_lease(db: Database) -> None:
    three = [Process(db, f"dcx-{n}") for n in range(3)]
    await asyncio.sleep(120)
    working = [each for each in three if each.ran]
    assert len(working) == 1
    assert [each.standing for each in three].count(1) == 1
    assert len(working[0].ran) == pytest.approx(120, abs=2)
    assert working[0].jobs.holding
    for each in three:
        await each.stop()


async def test_the_next_begins_at_once_when_one_stops(db: Database) -> None:
    first = Process(db, "dcx-0")
    await asyncio.sleep(5)
    second = Process(db, "dcx-1")
    await asyncio.sleep(5)
    assert second.ran == []
    await first.stop()
    assert first.standing == 0
    await asyncio.sleep(1.5)
    assert second.ran
    await second.stop()


async def test_the_next_takes_over_from_one_that_was_killed(db: Database) -> None:
    """Whoever dies gives nothing back: the lease runs out, within ten seconds."""
    await leases.take(db, "jobs", "dead", clock(), clock() + round(LEASE_S * 1000))
    second = Process(db, "dcx-1")
    await asyncio.sleep(LEASE_S - 1)
    assert second.ran == []
    await asyncio.sleep(TAKEOVER_S - LEASE_S + 1.5)
    assert second.ran
    assert second.ran[0] <= 10
    await second.stop()


async def test_one_that_was_frozen_stops_when_it_wakes(db: Database) -> None:
    """Its lease ran out and another has it: it must not go on beside that one."""
    frozen = Process(db, "dcx-0")
    await asyncio.sleep(5)
    assert frozen.ran
    assert await leases.take(db, "jobs", "other", clock() + 60_000, clock() + 120_000)  # a minute later, as it were
    await asyncio.sleep(3)
    ran = len(frozen.ran)
    assert not frozen.jobs.holding
    assert frozen.standing == 0
    await asyncio.sleep(30)
    assert len(frozen.ran) == ran
    await frozen.stop()


async def test_a_job_that_fails_comes_again_and_holds_up_nobody(db: Database) -> None:
    tries: list[float] = []
    other: list[float] = []

    async def fails(_now: int) -> int:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 1:
            raise StoreError("the database is away")
        if len(tries) == 2:
            raise ZeroDivisionError("oh")
        return clock() + 3_600_000

    async def works(now: int) -> int:
        other.append(now)
        return now  # due at once, again and again: never a busy loop

    jobs = Jobs(db, "dcx-0", [Job("fails", fails), Job("works", works)], clock=clock)
    task = asyncio.get_running_loop().create_task(jobs.run())
    await asyncio.sleep(30)
    async with db.read() as session:
        run = await session.get_one(JobRun, "fails")
    assert run.error == "ZeroDivisionError: oh"
    await asyncio.sleep(70)
    assert [round(after - before) for before, after in pairwise(tries)] == [5, 60]
    assert 100 < len(other) <= 501
    async with db.read() as session:
        assert (await session.get_one(JobRun, "fails")).error is None
    await cancel_and_wait(task)


async def test_standing_work_that_fails_is_started_again(db: Database) -> None:
    began: list[float] = []

    async def falls() -> None:
        began.append(asyncio.get_running_loop().time())
        if len(began) < 3:
            raise ZeroDivisionError
        await asyncio.get_running_loop().create_future()

    task = asyncio.get_running_loop().create_task(Jobs(db, "dcx-0", [], [Standing("falls", falls)], clock=clock).run())
    await asyncio.sleep(10)
    assert len(began) == 3
    await cancel_and_wait(task)


async def test_two_jobs_of_one_name_are_a_mistake(db: Database) -> None:
    async def job(now: int) -> int:
        return now

    with pytest.raises(ValueError, match="one name"):
        Jobs(db, "dcx-0", [Job("a", job), Job("a", job)])


async def test_a_claim_is_taken_once_and_only_if_it_is_committed(db: Database) -> None:
    async def fails() -> None:
        async with db.write() as session:
            assert await leases.claim(session, "summary/1", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with db.write() as session:
        assert await leases.claim(session, "summary/1", 1, keep_until=10)
        assert not await leases.claim(session, "summary/1", 2)
        assert await leases.claim(session, "total", 2)
    async with db.write() as session:
        assert await leases.forget_claims(session, 10) == 0
        assert await leases.forget_claims(session, 11) == 1
        assert not await leases.claim(session, "total", 3)
