"""The bus: one contract for the one in memory and the one on a real Redis, and what only Redis can do wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from dcx_ari.asking import Asking
from dcx_ari.bus import Bus, Message
from dcx_ari.bus import redis as on_redis
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.bus.redis import RedisBus
from dcx_ari.bus.seal import Seal, Strange
from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Redis

pytestmark = pytest.mark.unit

SECRET = b"of this database"
LONG_S = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    made = Redis(tmp_path_factory.mktemp("redis"), ensure("servers"))
    made.start()
    yield made
    made.stop()


@asynccontextmanager
async def connected(url: str, secret: bytes = SECRET, **options: Any) -> AsyncIterator[RedisBus]:
    """As a process would have it: up when it is yielded."""
    bus = RedisBus(url, secret, **options)
    running = asyncio.create_task(bus.run())
    try:
        await until(lambda: bus.away is None)
        yield bus
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not true():
            await asyncio.sleep(0.005)


async def heard(messages: AsyncIterator[Message]) -> Message:
    async with asyncio.timeout(LONG_S):
        return await anext(messages)


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    """Two ends of one bus: that of a process twice, or those of two processes."""
    if request.param == "memory":
        bus = MemoryBus(most_waiting=3)
        yield bus, bus
        return
    server: Redis = request.getfixturevalue("server")
    async with connected(server.url, most_waiting=3) as one, connected(server.url, most_waiting=3) as other:
        yield one, other


# -- the contract -------------------------------------------------------------------------------------------------


async def test_who_listens_hears_and_in_order(pair: tuple[Bus, Bus]) -> None:
    one, other = pair
    one.publish("a", {"n": 0})  # to nobody
    async with other.subscribe(["a", "b"]) as messages:
        one.publish("a", {"n": 1, "text": "Zoë\n", "list": [None, True, 1.5, {"x": []}]})
        one.publish("c", {"n": 2})
        one.publish("b", {"n": 3})
        first = await heard(messages)
        assert first == Message("a", {"n": 1, "text": "Zoë\n", "list": [None, True, 1.5, {"x": []}]})
        assert await heard(messages) == Message("b", {"n": 3})


async def test_a_process_hears_itself_once(pair: tuple[Bus, Bus]) -> None:
    one, other = pair
    async with one.subscribe(["a"]) as messages, other.subscribe(["a"]) as others:
        one.publish("a", {"n": 1})
        assert await heard(messages) == Message("a", {"n": 1})
        assert await heard(others) == Message("a", {"n": 1})
        other.publish("a", {"n": 2})  # by now whatever was on its way twice would have come
        assert (await heard(messages)).payload == {"n": 2}
        assert (await heard(others)).payload == {"n": 2}


async def test_who_is_slow_loses_the_oldest_and_is_told(pair: tuple[Bus, Bus]) -> None:
    one, other = pair
    async with other.subscribe(["a"]) as slow, other.subscribe(["a", "end"]) as quick:
        for n in range(10):
            one.publish("a", {"n": n})
        one.publish("end", {})
        while (await heard(quick)).topic != "end":
            pass
        assert [await heard(slow) for _ in range(3)] == [Message("a", {"n": n}, gap=n == 7) for n in (7, 8, 9)]


async def test_who_does_not_listen_any_more_can_listen_again(pair: tuple[Bus, Bus]) -> None:
    one, other = pair
    for n in range(3):
        async with other.subscribe(["a"]) as messages:
            one.publish("a", {"n": n})
            said = await heard(messages)
            if said.payload == {"n": "late"}:  # said before we listened again, and came after it
                said = await heard(messages)
            assert said.payload == {"n": n}
        one.publish("a", {"n": "late"})


async def test_a_question_is_answered_by_those_whom_it_concerns(pair: tuple[Bus, Bus]) -> None:
    one, other = pair
    asker, answerer = Asking(one, "dcx-0"), Asking(other, "dcx-1")

    async def double(about: Any) -> dict[str, Any] | None:
        return {"n": 2 * about["n"]} if about["n"] else None

    async def late(_about: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    for each in (asker, answerer):  # nobody answers himself
        each.answer("double", double)
        each.answer("late", late)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(each.run()) for each in (asker, answerer)]
        answers: Any = {}
        async with asyncio.timeout(LONG_S):
            while not answers:  # until the other listens
                answers = await asker.ask("double", {"n": 4}, within_s=0.2, enough=bool)
        assert answers == {"dcx-1": {"n": 8}}
        assert await asker.ask("double", {"n": 0}, within_s=0.05) == {}
        assert await asker.ask("late", {}, within_s=0.05) == {}
        assert await asker.ask("unknown", {}, within_s=0.05) == {}
        for task in running:
            task.cancel()


# -- in memory ---------------------------------------------------------------------------------------------------


async def test_the_bus_tells_whoever_listens_and_says_what_is_lost() -> None:
    bus = MemoryBus(most_waiting=2)
    bus.publish("a", {"n": 0})
    assert not bus.wanted("a")
    async with bus.subscribe(["a", "b"]) as one, bus.subscribe(["a"]) as other:
        assert bus.wanted("a")
        assert bus.wanted("b")
        for n in range(1, 4):
            bus.publish("a", {"n": n})
        assert await anext(one) == Message("a", {"n": 2}, gap=True)
        assert await anext(one) == Message("a", {"n": 3}, gap=False)
        bus.publish("b", {"n": 4})
        assert await anext(one) == Message("b", {"n": 4})
        assert (await anext(other)).gap
    assert not bus.wanted("a")
    assert not bus.wanted("b")


async def test_a_listener_wakes_for_what_comes_later() -> None:
    bus = MemoryBus()
    async with bus.subscribe(["a"]) as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        bus.publish("a", {"n": 1})
        assert (await waiting).payload == {"n": 1}


# -- Redis --------------------------------------------------------------------------------------------------------


async def test_installations_on_one_redis_do_not_hear_each_other(server: Redis) -> None:
    async with AsyncExitStack() as stack:
        ours, others, copy = [
            await stack.enter_async_context(connected(server.url, secret, prefix=prefix))
            for secret, prefix in ((SECRET, ""), (b"another", ""), (SECRET, "copy"))
        ]
        also = await stack.enter_async_context(connected(server.url))
        async with also.subscribe(["a"]) as messages:
            others.publish("a", {"whose": "others"})
            copy.publish("a", {"whose": "copy"})
            async with others.subscribe(["a"]) as theirs, copy.subscribe(["a"]) as of_copy:
                for bus, listener in ((others, theirs), (copy, of_copy)):  # both have been sent: they have come back
                    bus.publish("a", {})
                    await heard(listener)
            ours.publish("a", {"whose": "ours"})
            assert (await heard(messages)).payload == {"whose": "ours"}


async def test_what_others_write_there_is_ignored(server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    seal = Seal(SECRET)
    good = seal.close("a", "x", {"n": 1})
    deep = b'{"sender":"x","payload":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    written = [
        b"",
        b"{}",
        b'{"sender":"x","payload":{"n":1}}',
        b"\x00" * 32 + b'{"sender":"x","payload":{"n":1}}',
        b"cposix\nsystem\n(S'touch /tmp/dcx-owned'\ntR.",
        good[:-1],
        good + b" ",
        seal.close("b", "x", {"n": 1}),  # ours, of another topic
        seal._of(b"a\n" + deep) + deep,  # even with the secret: too deep, no JSON, not of the form
        seal._of(b"a\n\xff") + b"\xff",
        seal._of(b"a\n[1]") + b"[1]",
        b"x" * (1 << 21),
    ]
    async with connected(server.url) as bus, bus.subscribe(["a"]) as messages, Client.from_url(server.url) as anybody:
        for data in written:
            assert await anybody.publish(f"dcx:{seal.name}:a", data) == 1
        await anybody.publish(f"dcx:{seal.name}:a", good)
        assert await heard(messages) == Message("a", {"n": 1})
        assert bus.strange == len(written)
        assert bus.away is None
    assert sum("ignored" in record.getMessage() for record in caplog.records) == 1
    assert not os.path.exists("/tmp/dcx-owned")


async def test_redis_goes_and_comes_back(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    server = Redis(tmp_path, ensure("servers"))
    server.start()
    try:
        async with connected(server.url) as one, connected(server.url) as other, other.subscribe(["a"]) as messages:
            one.publish("a", {"n": 1})
            assert await heard(messages) == Message("a", {"n": 1})
            server.stop(signal.SIGKILL)
            await until(lambda: one.away is not None and other.away is not None)
            before = one.dropped
            for n in range(5_000):  # at once: nobody waits
                one.publish("a", {"n": n})
            assert one.dropped == before + 5_000
            async with one.subscribe(["here"]) as here:  # within a process it goes on
                one.publish("here", {})
                assert (await heard(here)).topic == "here"
            server.start()
            await until(lambda: one.away is None and other.away is None)
            await until(lambda: "a" in other._confirmed)
            one.publish("a", {"n": 2})
            assert await heard(messages) == Message("a", {"n": 2}, gap=True)
        told = [record.getMessage() for record in caplog.records if record.name == on_redis.log.name]
        assert sum("is away" in text for text in told) == sum("is back" in text for text in told) == 2
    finally:
        server.stop()


async def test_a_redis_that_says_nothing_is_away(server: Redis, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_redis, "SILENT_S", 0.2)
    monkeypatch.setattr(on_redis, "BEAT_S", 0.05)
    monkeypatch.setattr(on_redis, "_ANSWER_S", 0.2)
    made = Redis(tmp_path, ensure("servers"))
    made.start()
    assert made._process is not None
    try:
        async with connected(made.url) as bus:
            made._process.send_signal(signal.SIGSTOP)
            await until(lambda: bus.away is not None)
            made._process.send_signal(signal.SIGCONT)
            await until(lambda: bus.away is None)
    finally:
        made.stop(signal.SIGKILL)


async def test_what_waits_to_be_sent_is_bounded(server: Redis) -> None:
    async with connected(server.url) as bus:
        for n in range(3 * on_redis.MOST_OUT):  # the sender has no turn
            bus.publish("a", {"n": n})
        assert len(bus._out) <= on_redis.MOST_OUT
        assert bus.dropped >= 2 * on_redis.MOST_OUT
        kept = bus._out_bytes
        bus.publish("a", {"x": "x" * (1 << 20)})  # larger than any that is listened to
        assert bus._out_bytes == kept
        for _ in range(20):
            bus.publish("a", {"x": "x" * (900 << 10)})
        assert bus._out_bytes <= on_redis.MOST_OUT_BYTES


async def test_a_password_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    bus = RedisBus("redis://:hush@127.0.0.1:1", SECRET)
    running = asyncio.create_task(bus.run())
    await until(lambda: bus.away != "not connected yet")
    running.cancel()
    assert "127.0.0.1:1" in str(bus.away)
    assert "hush" not in caplog.text + str(bus.away)


def test_a_seal_needs_a_secret_and_fits_no_other() -> None:
    with pytest.raises(ValueError, match="secret"):
        Seal(b"")
    with pytest.raises(Strange):
        Seal(b"two").open("a", Seal(b"one").close("a", "x", {}))
