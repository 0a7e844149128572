"""Live view, figures and orders over several workers on one real Redis, each as a process of its own has them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dcx_ari import live_all, live_mirrors, live_news, pausing
from dcx_ari.ari.errors import Unreachable
from dcx_ari.asking import Asking
from dcx_ari.bus import Message
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.bus.redis import RedisBus
from dcx_ari.figures import Scrape
from dcx_ari.live import LiveCalls
from dcx_ari.live_all import AllCalls
from dcx_ari.live_mirrors import GHOST_S, Mirrors
from dcx_ari.live_news import News
from dcx_ari.metrics import Metrics
from dcx_ari.pausing import Pausing
from dcx_ari.services.errors import Unavailable
from dcx_ari.services.live import TOPIC
from dcx_ari.store.errors import StoreError
from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Redis

pytestmark = pytest.mark.unit

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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
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
async def workers(server: Redis) -> AsyncIterator[Workers]:
    made = Workers(server.url)
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


# -- the view -----------------------------------------------------------------------------------------------------


async def test_calls_of_all_workers_once_and_as_they_change(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
    one.own.tell(call("a"))
    two.own.tell(*(call(f"b{n}") for n in range(1_200)))  # more than one message holds
    await one.live.fresh()
    assert len(one.ids()) == 1_201
    assert one.live.coverage() == (["dcx-0", "dcx-1"], [], None)
    async with View(one).open() as view:
        assert len(view.shown) == 1_201
        two.own.tell(call("b0", status="on-hold"), call("c"), removed=("b1",))
        one.own.tell(removed=("a",))
        await until(lambda: "c" in view.shown)
        assert view.shown["b0"]["status"] == "on-hold"
        assert {"a", "b1"}.isdisjoint(view.shown)
        assert view.shown.keys() == one.ids()
        late = await workers.add("dcx-2")  # comes while somebody looks
        late.own.tell(call("d"))
        await until(lambda: "d" in view.shown)
    async with View(two).open() as view:  # the API has moved
        assert {"b0", "c", "d"} <= view.shown.keys()


async def test_nobody_looks_nothing_is_told(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_news, "LOOKED_S", 0.1)
    monkeypatch.setattr(live_all, "_LINGER_S", 0.1)
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
    await one.live.fresh()
    assert two.own.bus.wanted("own-calls")
    await until(lambda: not two.own.bus.wanted("own-calls"))
    assert one.ids() == set()


async def test_a_worker_that_dies_leaves_no_ghosts_and_its_heir_keeps_the_calls(workers: Workers) -> None:
    one, two, three = [await workers.add(f"dcx-{n}") for n in range(3)]
    two.own.tell(call("a"), call("b"))
    async with View(one).open() as view:
        assert view.shown.keys() == {"a", "b"}
        seen: list[set[str]] = []
        await two.kill()
        three.own.tell(call("a", stage="inherited"))
        one.own.tell(call("own"))
        async with asyncio.timeout(LONG_S):
            while "b" in view.shown:
                seen.append(set(view.shown))
                await asyncio.sleep(0.01)
        assert all("a" in each for each in seen)
        assert view.shown["a"]["stage"] == "inherited"
        assert view.shown.keys() == one.ids() == {"a", "own"}
        told = one.live.coverage()
        assert (told.missing, told.degraded) == (["dcx-1"], "dcx-1: not heard, so the calls there are not shown")
        workers.slots.remove("dcx-1")
        await until(lambda: one.live.coverage().degraded is None)
        again = await workers.add("dcx-1", began=2)
        again.own.tell(call("e"))
        await until(lambda: "e" in view.shown)


async def test_redis_goes_and_comes_back_while_calls_change(tmp_path: Any) -> None:
    server = Redis(tmp_path, ensure("servers"))
    server.start()
    workers = Workers(server.url)
    try:
        one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
        two.own.tell(call("a"), call("b"))
        async with View(one).open() as view:
            assert view.shown.keys() == {"a", "b"}
            server.stop(signal.SIGKILL)
            await until(lambda: (one.live.coverage().degraded or "").startswith("redis: "))
            two.own.tell(call("c"), removed=("a",))
            one.own.tell(call("own"))
            await until(lambda: view.shown.keys() == {"own"})
            assert one.live.coverage().missing == ["dcx-1"]
            server.start()
            await until(lambda: view.shown.keys() == {"own", "b", "c"})
            await until(lambda: one.live.coverage() == (["dcx-0", "dcx-1"], [], None))
    finally:
        await workers.end()
        server.stop()


async def test_without_redis_one_workers_calls_are_shown_and_it_says_so(workers: Workers) -> None:
    one = await workers.add("dcx-0", redis=False)
    one.own.tell(call("a"))
    async with View(one).open() as view:
        assert (view.shown.keys(), one.live.coverage()) == ({"a"}, (["dcx-0"], [], None))
    workers.slots.add("dcx-1")
    await one.live.fresh()
    await until(lambda: one.live.coverage().degraded)
    assert one.live.coverage().degraded == "redis: DCX_REDIS_URL is not set: only the calls of dcx-0 are shown"
    one.database_away = True
    await one.live.fresh()
    assert one.ids() == {"a"}


async def test_news_of_a_strange_form_are_left_out(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
    two.own.tell(call("a"))
    assert two.redis is not None
    good = {"worker": "dcx-1", "life": "x", "began": 1, "n": 1, "changed": [], "removed": [], "whole": None}
    async with View(one).open() as view:
        for bad in (
            {},
            {**good, "n": "1"},
            {**good, "changed": [{"id": "x"}]},
            {**good, "changed": [call("x", started_at="yesterday")], "whole": ["x"]},
            {**good, "changed": [call("x", status="gone")]},
            {**good, "removed": [None]},
            {**good, "worker": ["dcx-1"]},
        ):
            two.redis.publish("live-news", bad)
            two.redis.publish("looks", bad)
            two.redis.publish("questions", bad)
        two.own.tell(call("b"))
        await until(lambda: view.shown.keys() == {"a", "b"})
    assert not any(task.done() for task in (*one.tasks, *two.tasks))


# -- what is known of another worker ------------------------------------------------------------------------------


def news(n: int, *changed: str, worker: str = "dcx-1", life: str = "l", began: int = 1, **more: Any) -> News:
    return News(
        worker,
        life,
        began,
        n,
        [live_news.msgspec.convert(call(each), live_news.LiveCall) for each in changed],
        more.get("removed", []),
        more.get("whole"),
    )


def test_what_is_lost_is_asked_for_again():
    mirrors = Mirrors()
    mirrors.take(news(7, "x"), 0.0)  # begun before we listened
    assert (mirrors.calls(), mirrors.lost, mirrors.workers) == ({}, ["l"], set())
    mirrors.take(news(8, "a", whole=["a", "b"]), 0.0)
    assert (mirrors.lost, mirrors.workers) == ([], set())  # b is to come
    mirrors.take(news(9, "b"), 0.0)
    assert (mirrors.calls().keys(), mirrors.workers) == ({"a", "b"}, {"dcx-1"})
    mirrors.take(news(9), 0.0)  # a sign of life
    assert mirrors.lost == []
    mirrors.take(news(11, "d"), 0.0)
    assert (mirrors.calls().keys(), mirrors.lost) == ({"a", "b"}, ["l"])
    delta = mirrors.take(news(12, "b", "d", whole=["b", "d"]), 0.0)
    assert (delta.removed, mirrors.calls().keys(), mirrors.lost) == (["a"], {"b", "d"}, [])
    mirrors.take(news(14), 0.0)  # a sign of life that tells of a change that did not come
    assert mirrors.lost == ["l"]


def test_a_slot_has_one_process_and_the_silent_have_none():
    mirrors = Mirrors()
    mirrors.take(news(1, "a", whole=["a"], began=5), 0.0)
    assert mirrors.take(news(1, "b", whole=["b"], life="later", began=6), 1.0).removed == ["a"]
    mirrors.take(news(2, "a", whole=["a"], began=5), 1.0)  # its last word
    assert mirrors.calls().keys() == {"b"}
    assert mirrors.expire(1.0 + GHOST_S - 0.1).removed == []
    assert mirrors.expire(1.0 + GHOST_S).removed == ["b"]
    for n in range(live_mirrors.MOST + 5):
        mirrors.take(news(1, whole=[], worker=f"w{n}", life=f"l{n}"), 2.0)
    assert len(mirrors.known) == live_mirrors.MOST


# -- figures ------------------------------------------------------------------------------------------------------


def samples(text: bytes, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(text.decode())
    return {
        ",".join(each.labels.values()): each.value
        for family in families
        for each in family.samples
        if each.name == name
    }


async def test_figures_of_all_workers(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
    two.metrics.calls.labels("COMPLETED").inc(3)
    two.metrics.watch(lambda: 7, lambda: True, lambda: 9)
    text = await one.scrape.text()
    assert samples(text, "dcx_calls_total") == {"COMPLETED,dcx-1": 3}
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0, "dcx-1": 7}
    assert (samples(text, "dcx_workers_shown"), samples(text, "dcx_workers_missing")) == ({"dcx-0": 2}, {"dcx-0": 0})
    await two.kill()
    text = await one.scrape.text()
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0}
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}


async def test_figures_without_redis(workers: Workers) -> None:
    one = await workers.add("dcx-0", redis=False)
    workers.slots.add("dcx-1")
    text = await one.scrape.text()
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0}
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}
    one.database_away = True
    assert samples(await one.scrape.text(), "dcx_live_calls") == {"dcx-0": 0}


async def test_figures_of_a_strange_form_are_left_out(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")

    async def bad(_about: Any) -> dict[str, Any]:
        return {"families": [{"name": "x{} 1\ny", "help": "", "type": "gauge", "samples": []}]}

    two.asking.answer("metrics", bad)
    text = await one.scrape.text()
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}
    assert b"\ny" not in text


# -- orders -------------------------------------------------------------------------------------------------------


class Paused:
    """Stands for the recorder of one worker."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, bool]] = []
        self.broken = False

    async def pause(self, recording_id: str, paused: bool, _at_ms: int) -> None:
        if self.broken:
            raise Unreachable("no answer")
        self.orders.append((recording_id, paused))


def pausing_of(worker: Worker, recorder: Paused, calls: dict[str, Any], shared: bool = True) -> Pausing:
    database: Any = None
    return Pausing(calls, recorder, database, worker.asking, worker.name, lambda: 0, shared=shared)  # type: ignore[arg-type]


async def test_a_recording_is_paused_where_its_call_is(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"here": "dcx-0", "there": "dcx-1", "silent": "dcx-1", "moved": "dcx-9"}

    async def worker_of(_database: Any, call_id: str) -> str | None:
        return owners.get(call_id)

    monkeypatch.setattr(pausing, "worker_of", worker_of)
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")

    def up(recording_id: str | None) -> Any:
        return SimpleNamespace(recording_id=recording_id, note=lambda _kind: None)

    mine, other = Paused(), Paused()
    here = pausing_of(one, mine, {"here": up("r0")})
    pausing_of(two, other, {"there": up("r1"), "silent": up(None), "moved": up("r2")})
    assert await here.pause("here", True)
    assert await here.pause("there", True)
    assert await here.pause("moved", False)  # the row is a moment behind
    assert (mine.orders, other.orders) == ([("r0", True)], [("r1", True), ("r2", False)])
    assert not await here.pause("silent", True)
    assert not await here.pause("none", True)
    mine.broken = other.broken = True
    for call_id in ("here", "there"):
        with pytest.raises(Unavailable, match="Asterisk"):
            await here.pause(call_id, True)
    monkeypatch.setattr(pausing, "WITHIN_S", 0.1)
    await two.kill()
    with pytest.raises(Unavailable, match="dcx-1, which has the call, does not answer"):
        await here.pause("there", True)
    assert one.redis is not None
    one.redis.away = "connection refused"
    with pytest.raises(Unavailable, match="redis: connection refused"):
        await here.pause("there", True)
    alone = pausing_of(one, mine, {}, shared=False)
    with pytest.raises(Unavailable, match="DCX_REDIS_URL is not set"):
        await alone.pause("there", True)
