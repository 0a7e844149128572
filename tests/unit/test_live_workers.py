"""The live view over several workers on one real Redis."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from workers_kit import LONG_S, View, Workers, call, redis_server, until, workers

from dcx_ari import live_all, live_mirrors, live_news
from dcx_ari.live_mirrors import GHOST_S, Mirrors
from dcx_ari.live_news import News
from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Redis

__all__ = ["redis_server", "workers"]

pytestmark = pytest.mark.unit


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
