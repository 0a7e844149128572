"""Workers on one real Redis, each with what a process of its own has of the live view, figures and orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dcx_ari.asking import Asking
from dcx_ari.bus import Message
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.bus.redis import RedisBus
from dcx_ari.figures import Scrape
from dcx_ari.live import LiveCalls
from dcx_ari.live_all import AllCalls
from dcx_ari.metrics import Metrics
from dcx_ari.services.live import TOPIC
from dcx_ari.store.errors import StoreError
from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Redis

LONG_S = 30


def call(call_id: str, *, status: str = "in-progress", **more: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "status": status,
        "stage": "talking",
        "caller": "+12125550100",
        "number": "+18005550001",
        "campaign_id": 1,
        "campaign": "Solar",
        "source_id": None,
        "source": None,
        "buyers": [{"id": 1, "name": "Acme"}],
        "started_at": "2026-03-10T18:59:00.000Z",
        "answered_at": None,
        "connected_at": None,
        "test": False,
        **more,
    }


class Own(LiveCalls):
    """Calls that a test puts up, told as those of an exchange are."""

    def __init__(self, began: int) -> None:
        self.up: dict[str, dict[str, Any]] = {}
        super().__init__({}, lambda: None, MemoryBus(), lambda: began)  # type: ignore[arg-type, return-value]

    def calls(self) -> list[dict[str, Any]]:
        return list(self.up.values())

    def has(self, call_id: str) -> bool:
        return call_id in self.up

    def tell(self, *changed: dict[str, Any], removed: tuple[str, ...] = ()) -> None:
        self.up |= {each["id"]: each for each in changed}
        for each in removed:
            del self.up[each]
        for topic in (TOPIC, "own-calls"):
            self.bus.publish(topic, {"changed": list(changed), "removed": list(removed)})


class Worker:
    """What one process has of all this. Its `slots` are the rows of the table of workers."""

    def __init__(self, name: str, redis: RedisBus | None, slots: set[str], began: int = 1) -> None:
        self.name, self.redis, self.slots = name, redis, slots
        self.database_away = False
        self.own = Own(began)
        wire = redis or MemoryBus()
        self.live = AllCalls(self.own, wire, name, self.others, shared=redis is not None)
        self.asking = Asking(wire, name)
        self.metrics = Metrics()
        self.scrape = Scrape(self.metrics, self.asking, name, self.others, shared=redis is not None)
        self.tasks: list[asyncio.Task[None]] = []

    async def others(self) -> set[str]:
        if self.database_away:
            raise StoreError("away")
        return self.slots - {self.name}

    def start(self) -> None:
        work = [self.live.run(), self.asking.run(), *([self.redis.run()] if self.redis else [])]
        self.tasks = [asyncio.create_task(each) for each in work]

    async def kill(self) -> None:
        """No more is heard of it, and it says no goodbye."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def ids(self) -> set[str]:
        return {each["id"] for each in self.live.calls()}


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    made = Redis(tmp_path_factory.mktemp("redis"), ensure("servers"))
    made.start()
    yield made
    made.stop()


class Workers:
    def __init__(self, url: str) -> None:
        self.slots: set[str] = set()
        self._url = url
        self._all: list[Worker] = []

    async def add(self, name: str, *, redis: bool = True, began: int = 1) -> Worker:
        self.slots.add(name)
        bus = RedisBus(self._url, b"secret", self._url.rpartition(":")[2].replace("/", "-")) if redis else None
        made = Worker(name, bus, self.slots, began)
        made.start()
        self._all.append(made)
        if bus is not None:
            await until(lambda: bus.away is None)
            await until(lambda: {"looks", "questions"} <= bus._confirmed)
        return made

    async def end(self) -> None:
        for each in self._all:
            await each.kill()


@pytest.fixture
async def workers(redis_server: Redis) -> AsyncIterator[Workers]:
    made = Workers(redis_server.url)
    yield made
    await made.end()


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(LONG_S):
        while not true():
            await asyncio.sleep(0.005)


class View:
    """A listener: what it would show, from a snapshot and the changes since."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.shown: dict[str, Any] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[View]:
        async with self.worker.live.watch() as messages:
            await self.worker.live.fresh()
            self.shown = {each["id"]: each for each in self.worker.live.calls()}
            task = asyncio.create_task(self._follow(messages))
            try:
                yield self
            finally:
                task.cancel()

    async def _follow(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            for each in message.payload["removed"]:
                self.shown.pop(each, None)
            self.shown |= {each["id"]: each for each in message.payload["changed"]}
