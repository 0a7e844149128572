"""An event loop whose clock jumps to the next timer: a thirty-minute call takes milliseconds.

Nothing sleeps. When no callback is ready, the loop adds the time to the next timer to its clock and goes on.
When there is no timer either, nothing can ever happen again, and `Deadlock` names the tasks that wait.

Work done outside the loop (threads) is not in virtual time. The clock stands still while such work is
outstanding, so a query that takes 3 ms of real time takes none on this clock and no timer can overtake it:

- executor jobs (`run_in_executor`, `asyncio.to_thread`, name look-ups) are counted;
- libraries that run a thread of their own and resolve futures through `call_soon_threadsafe`: every future
  that a module of `OUTSIDE_MODULES` (aiosqlite and what hands it work, the ledger's writer) or `OUTSIDE_PACKAGES`
  (asyncpg) creates is counted until it is done;
- anything else (a subprocess): `with loop.outside("ffmpeg"): …`.

Sockets: data sent over loopback within this process can be read at once, so servers and clients under test
need nothing. To talk to another process give `io_grace_s`, the real seconds to listen before each jump.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

OUTSIDE_MODULES = ("aiosqlite.core", "sqlalchemy.dialects.sqlite.aiosqlite", "dcx_ari.store.ledger.writer")
OUTSIDE_PACKAGES = ("asyncpg.",)  # what a server in another process has been asked
A_MONDAY = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 10:00 in New York, before the change to summer time


class Deadlock(RuntimeError):
    """Nothing is ready and nothing is scheduled, or the clock ran past its limit: the test waits for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Its clock (`loop.time()`) starts at 0.

    limit_s     virtual seconds after which a run counts as hanging (a periodic task keeps a loop alive)
    io_grace_s  real seconds to wait for a socket before each jump, for peers in other processes
    patience_s  real seconds that outside work may take
    """

    def __init__(self, *, limit_s: float = 7 * 86_400.0, io_grace_s: float = 0.0, patience_s: float = 30.0) -> None:
        self._virtual = _JumpingSelector(self._stuck, limit_s, io_grace_s, patience_s)
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    @contextmanager
    def outside(self, what: str) -> Iterator[None]:
        """Hold the clock while something outside the loop works; `what` is named if it never ends."""
        self._virtual.outside[what] += 1
        try:
            yield
        finally:
            self._release(what)

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        owner = sys._getframe(1).f_globals.get("__name__", "")
        if owner in OUTSIDE_MODULES or owner.startswith(OUTSIDE_PACKAGES):
            self._hold(future, owner)
        return future

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._hold(future, f"executor: {getattr(func, '__qualname__', func)}")
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        with self.outside("executor shutdown"):
            await super().shutdown_default_executor(*args)

    def _hold(self, future: asyncio.Future[Any], what: str) -> None:
        self._virtual.outside[what] += 1
        future.add_done_callback(lambda _: self._release(what))

    def _release(self, what: str) -> None:
        self._virtual.outside[what] -= 1
        if not self._virtual.outside[what]:
            del self._virtual.outside[what]

    def _stuck(self, why: str) -> Deadlock:
        waiting = sorted(_place(task) for task in asyncio.all_tasks(self))
        return Deadlock("\n  ".join([f"at {self.time():.3f} s {why}; waiting:", *(waiting or ["nobody"])]))


class _JumpingSelector(selectors.BaseSelector):
    """A selector that moves a clock instead of sleeping."""

    def __init__(self, stuck: Callable[[str], Deadlock], limit_s: float, io_grace_s: float, patience_s: float) -> None:
        self.now = 0.0
        self.outside: Counter[str] = Counter()
        self._real = selectors.DefaultSelector()
        self._stuck = stuck
        self._limit_s = limit_s
        self._io_grace_s = io_grace_s
        self._patience_s = patience_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.outside:
            if ready := self._real.select(self._patience_s):
                return ready
            raise self._stuck(f"outside work did not end: {', '.join(self.outside)}")
        if self._io_grace_s and (ready := self._real.select(self._io_grace_s)):
            return ready
        if timeout is None:
            raise self._stuck("nothing is ready and nothing is scheduled")
        self.now += timeout
        if self.now > self._limit_s:
            raise self._stuck(f"the clock passed its limit of {self._limit_s:g} s")
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualClock:
    """Wall-clock time on a virtual loop: `start` plus what the running loop's clock shows."""

    def __init__(self, start: datetime = A_MONDAY) -> None:
        self.start = start

    def now(self) -> datetime:
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    def epoch_ms(self) -> int:
        return round(self.now().timestamp() * 1000)


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None, **loop_options: float) -> T:
    """`asyncio.run` in virtual time; `loop_options` are those of `VirtualLoop`."""
    with asyncio.Runner(debug=debug, loop_factory=lambda: VirtualLoop(**loop_options)) as runner:
        return runner.run(main)


def virtual_now() -> float:
    """Seconds on the running loop's clock."""
    return asyncio.get_running_loop().time()


def _place(task: asyncio.Task[Any]) -> str:
    """The task and the innermost line that it waits at."""
    awaited: Any = task.get_coro()
    name, where = getattr(awaited, "__qualname__", "?"), ""
    while awaited is not None:
        frame = next((f for kind in ("cr", "gi", "ag") if (f := getattr(awaited, f"{kind}_frame", None))), None)
        if frame is not None:
            where = f" at {frame.f_code.co_filename}:{frame.f_lineno}"
        inner = (getattr(awaited, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        awaited = next((one for one in inner if one is not None), None)
    return f"{task.get_name()} {name}{where}"
