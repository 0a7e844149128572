"""The virtual loop: jumps, deadlocks, and work in threads that the clock must wait for."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import pytest

from dcx_ari.testing.virtual_time import A_MONDAY, Deadlock, VirtualClock, VirtualLoop, run, virtual_now

pytestmark = pytest.mark.unit


def test_a_day_passes_at_once_and_in_order() -> None:
    order: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, virtual_now()))

    async def main() -> None:
        await asyncio.gather(sleeper("day", 86_400), sleeper("second", 1), sleeper("half", 0.5))

    run(main(), debug=True)
    assert [(name, round(at, 6)) for name, at in order] == [("half", 0.5), ("second", 1), ("day", 86_400)]


def test_waiting_for_what_cannot_happen_is_a_deadlock_that_names_the_waiter() -> None:
    async def waits_in_vain() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="waits_in_vain"):
        run(waits_in_vain())


def test_a_ticking_loop_that_never_ends_is_found() -> None:
    async def ticks() -> None:
        while True:
            await asyncio.sleep(10)

    with pytest.raises(Deadlock, match="limit"):
        run(ticks(), limit_s=1000)


def test_timeouts_fire_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1800):
                await asyncio.Event().wait()
        return virtual_now()

    assert run(main()) == 1800


Work = Callable[[], None]


async def _executor(work: Work) -> None:
    await asyncio.to_thread(work)


async def _declared(work: Work) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    done = asyncio.Event()

    def thread() -> None:
        work()
        loop.call_soon_threadsafe(done.set)

    with loop.outside("a thread"):
        threading.Thread(target=thread).start()
        await done.wait()


async def _aiosqlite(work: Work) -> None:
    async with aiosqlite.connect(":memory:") as db:
        await db.create_function("work", 0, work)
        await db.execute("select work()")


@pytest.mark.parametrize("outside", [_executor, _declared, _aiosqlite])
def test_no_timer_overtakes_work_in_a_thread(
    outside: Callable[[Work], Awaitable[None]],
) -> None:
    def work() -> None:
        time.sleep(0.02)  # real time, in the thread: the loop has nothing else to do meanwhile

    async def main() -> float:
        ran_ahead = asyncio.get_running_loop().call_later(0.001, lambda: None)
        await outside(work)
        assert not ran_ahead.cancelled()
        return virtual_now()

    assert run(main(), debug=True) == 0


def test_sqlite_and_timers_together(tmp_path: Path) -> None:
    async def main() -> list[float]:
        at: list[float] = []
        async with aiosqlite.connect(tmp_path / "x.db") as db:
            await db.execute("create table t (at real)")
            for _ in range(20):
                await asyncio.sleep(1)
                await db.execute("insert into t values (?)", (virtual_now(),))
            async with db.execute("select at from t order by at") as rows:
                at = [row[0] async for row in rows]
        return at

    assert run(main()) == [float(n) for n in range(1, 21)]


def test_outside_work_that_never_ends_is_named() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with loop.outside("the unfinished symphony"):
            await asyncio.sleep(1)

    with pytest.raises(Deadlock, match="unfinished symphony"):
        run(main(), patience_s=0.01)


def test_sockets_of_this_process_need_no_grace() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def main() -> tuple[bytes, float]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            async with asyncio.timeout(5):
                line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line, virtual_now()

    assert run(main()) == (b"hello\n", 0)


def test_the_clock_gives_wall_time() -> None:
    async def main() -> None:
        clock = VirtualClock()
        before = clock.epoch_ms()
        await asyncio.sleep(1.5)
        assert clock.now() > A_MONDAY
        assert clock.epoch_ms() - before == 1500

    run(main())
