"""kill -9 in the middle of deliveries: nothing is lost; what comes twice has one id and one content."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from outbox_kit import Outbox, Received, receiver

from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from tests.databases import url_of

pytestmark = [pytest.mark.unit, pytest.mark.databases]
WORKER = Path(__file__).with_name("outbox_worker.py")
CALLS, EVENTS = 25, ("call.started", "call.answered", "call.completed")


async def test_killed_twice_in_the_middle_nothing_is_lost(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/dcx.db"
    await migrate(url)
    database = open_database(url)
    outbox = Outbox(database)
    async with receiver() as far:
        await outbox.endpoint(far.url, "call.*")
        for number in range(CALLS):
            for event in EVENTS:
                await outbox.tell(
                    event, {"call_id": f"c{number}"}, order_key=f"c{number}", dedupe_key=f"c{number}/{event}"
                )
        worker_url = url_of(tmp_path / "dcx.db")
        for row_count in (15, 40):
            await killed_after(worker_url, far.got, row_count)
        async with worker(worker_url), asyncio.timeout(60):
            while set(await outbox.states()) != {"delivered"}:
                await asyncio.sleep(0.05)
    rows = {row.id: row for row in await outbox.rows()}
    await database.close()
    assert len(rows) == CALLS * len(EVENTS)
    contents, order = defaultdict(set), defaultdict(list)
    for got in far.got:
        contents[got.id].add(got.body)
        told = json.loads(got.body)
        if told["type"] not in order[told["data"]["call_id"]]:
            order[told["data"]["call_id"]].append(told["type"])
    assert contents.keys() == rows.keys()
    assert all(len(bodies) == 1 and bodies.pop().decode() == rows[i].payload for i, bodies in contents.items())
    assert all(seen == list(EVENTS) for seen in order.values())


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A deliverer in a process of its own; killed, without warning, at the end."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), url)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def killed_after(url: str, got: list[Received], count: int) -> None:
    """Killed when so many requests have come."""
    async with worker(url) as process, asyncio.timeout(60):
        while len(got) < count:
            await asyncio.sleep(0.001)
        assert process.returncode is None
