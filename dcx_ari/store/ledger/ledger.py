"""The ledger as the rest of the engine sees it: coroutines over one writing thread and one reading thread."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.engine import make_url

from dcx_ari.decide.caps import CounterKey, Hold, Outcome
from dcx_ari.store.errors import StoreError, translate
from dcx_ari.store.ledger import usage, verify
from dcx_ari.store.ledger.mirror import Mirror
from dcx_ari.store.ledger.money import Adjust, Book, CloseCall, Convert, Correct
from dcx_ari.store.ledger.reserve import Reserve
from dcx_ari.store.ledger.rows import Statement
from dcx_ari.store.ledger.settle import (
    CommitConnect,
    Finish,
    Freed,
    Release,
    ReleaseExpired,
    ReleaseOrphans,
    ReleaseOthers,
    Settle,
)
from dcx_ari.store.ledger.tx import Connection
from dcx_ari.store.ledger.types import Adjusted, Converted, Difference, Figure, Money, Refused, Reserved, Spacing, Sums
from dcx_ari.store.ledger.writer import Request, SqliteConnection, Writer, connect

BUSY_TIMEOUT_MS = 5_000
T = TypeVar("T")


def wall_clock() -> int:
    """Now, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Ledger:
    """Caps and money on one migrated database. Times are epoch ms, money is integer cents.

    Every method is idempotent for its (call_id, attempt); all raise StoreError when the database cannot be
    used. Attempt 0 is the call itself: it keeps the holds of source and campaign, legs count from 1.
    """

    def __init__(
        self,
        path: str,
        *,
        worker: str = "dcx-0",
        clock: Callable[[], int] = wall_clock,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self.path = path
        self.worker = worker
        self._clock = clock
        self._timeout_s = busy_timeout_ms / 1000
        self._writer = Writer(path, busy_timeout_ms)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="dcx-ledger-read")
        self._read_db: sqlite3.Connection | None = None
        self._mirror = Mirror()
        self._mirror_db: sqlite3.Connection | None = None
        self._loading = asyncio.Lock()

    async def submit(self, request: Request[T]) -> T:
        """Have a request of the caller's own done in the next transaction; see `writer.Request`."""
        return await self._writer.submit(request)

    async def reserve(
        self,
        call_id: str,
        attempt: int,
        holds: Sequence[Hold],
        *,
        spacing: Spacing | None = None,
        group_attempt: int | None = None,
    ) -> Reserved | Refused:
        """Take all holds or none; see `reserve.Reserve`. Raises AttemptClosed, BadEntry.

        A task cancelled here may have reserved: release the attempt in its `finally`.
        """
        return await self.submit(
            Reserve(call_id, attempt, tuple(holds), self.worker, self._clock(), spacing, group_attempt)
        )

    async def commit_connect(self, call_id: str, attempt: int, *, group_attempt: int | None = None) -> bool:
        """The buyer answered: connect holds become used."""
        return await self.submit(CommitConnect(call_id, attempt, self._clock(), group_attempt))

    async def convert(
        self,
        call_id: str,
        attempt: int,
        revenue_cents: int,
        money: Sequence[Money] = (),
        *,
        counts: Sequence[Hold] = (),
        told: Sequence[Statement] = (),
    ) -> Converted:
        """The attempt converts: caps, money and what is told of it in one transaction; see `money.Convert`."""
        return await self.submit(Convert(call_id, attempt, revenue_cents, tuple(money), self._clock(), counts, told))

    async def correct(
        self,
        call_id: str,
        attempt: int,
        revenue_delta: int,
        money: Sequence[Money],
        *,
        reason: str,
        actor: str,
        counts: Sequence[Hold] = (),
    ) -> Converted:
        """The price of a converted attempt changes; see `money.Correct`."""
        return await self.submit(
            Correct(call_id, attempt, revenue_delta, tuple(money), self._clock(), reason, actor, counts)
        )

    async def settle(
        self,
        call_id: str,
        attempt: int,
        outcome: Outcome,
        *,
        keep_until: int | None = None,
        counts: Sequence[Hold] = (),
    ) -> bool:
        """The leg is over; see `settle.Settle`."""
        return await self.submit(Settle(call_id, attempt, outcome, self._clock(), keep_until, counts))

    async def release(self, call_id: str, attempt: int) -> bool:
        """The attempt was not dialled, or lost a simultaneous ring: free what is open."""
        return await self.submit(Release(call_id, attempt, self._clock()))

    async def finish(self, call_id: str, outcome: Outcome, *, counts: Sequence[Hold] = ()) -> bool:
        """The call is over: settle attempt 0, and any leg still open as unanswered; see `settle.Finish`."""
        return await self.submit(Finish(call_id, outcome, self._clock(), counts))

    async def close_call(
        self,
        call_id: str,
        entries_of: Callable[[Sums], Sequence[Money]],
        outcome: Outcome,
        *,
        expected_revenue: int = 0,
        counts: Sequence[Hold] = (),
    ) -> Sums:
        """Book what is due at the end, and `finish`, in one transaction; the call's money after it. Raises BadEntry.

        `entries_of` is called here, not in the writing thread, with the call's money: first as the caller expects it,
        and again only when there was other money under the lock. So it may be asked more than once.
        """
        expected = Sums(expected_revenue)
        while True:
            entries = tuple(entries_of(expected))
            closing = await self.submit(CloseCall(call_id, entries, outcome, expected, self._clock(), counts))
            if closing.done:
                return closing.sums
            expected = closing.sums

    async def release_others(self, call_id: str, *, keep: Collection[int] = ()) -> list[Freed]:
        """The call goes on in another process: free its attempts but those of `keep`; see `settle.ReleaseOthers`."""
        return await self.submit(ReleaseOthers(call_id, frozenset(keep), self._clock()))

    async def release_orphans(self, live: Collection[str], *, before: int, worker: str | None = None) -> list[Freed]:
        """Free the holds of calls without a channel; see `settle.ReleaseOrphans`. `worker` None: this one."""
        return await self.submit(ReleaseOrphans(frozenset(live), worker or self.worker, before, self._clock()))

    async def release_expired(self) -> list[Freed]:
        """Free conversion holds whose postback did not come in time."""
        return await self.submit(ReleaseExpired(self._clock()))

    async def book(self, entries: Sequence[Money]) -> int:
        """Book money entries that are not there yet; the number written. Raises BadEntry."""
        return await self.submit(Book(tuple(entries), self._clock()))

    async def adjust(
        self, key: CounterKey, delta: int | None = None, *, to: int | None = None, reason: str, actor: str
    ) -> Adjusted:
        """Change a counter by `delta`, or `to` a value, as an entry. Raises BadEntry."""
        return await self.submit(Adjust(key, delta, to, reason, actor, self._clock()))

    async def usage(self) -> Mapping[CounterKey, int]:
        """Committed plus held of every counter, up to date with all processes; absent is zero.

        The mapping is alive: it changes with the next `usage`, so decide on it before the next `await`. The
        figures may be older than the reservation that follows; `reserve` is what decides.
        """
        if not self._mirror.loaded:
            async with self._loading:
                if not self._mirror.loaded:
                    await self._read(lambda db: self._mirror.load(db, self._clock()))
        self._refresh()
        return self._mirror.counters

    async def figures(self, scopes: Iterable[tuple[str, int]], period_keys: Iterable[str]) -> dict[CounterKey, Figure]:
        """Counters of these (scope, id) in these periods, used and held apart; see `usage.figures`."""
        wanted, keys = list(scopes), list(period_keys)
        return await self._read(lambda db: usage.figures(db, wanted, keys))

    async def sums(self, call_id: str) -> Sums:
        """The call's money so far."""
        return await self._read(lambda db: usage.sums(db, call_id))

    async def verify(self) -> list[Difference]:
        """Recompute every counter; empty when all is right. Reads the whole ledger, on a connection of its
        own.
        """
        return await asyncio.to_thread(self._verify)

    async def close(self) -> None:
        """Finish what was asked and close the connections."""
        await self._writer.close()
        await asyncio.to_thread(self._reader.shutdown)
        for db in (self._read_db, self._mirror_db):
            if db is not None:
                db.close()
        self._read_db = self._mirror_db = None

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read_now, query)

    def _read_now(self, query: Callable[[Connection], T]) -> T:
        try:
            if self._read_db is None:
                self._read_db = connect(self.path, self._timeout_s, read_only=True)
            return query(SqliteConnection(self._read_db))
        except sqlite3.Error as error:
            raise translate(error, self.path) or error from error

    def _refresh(self) -> None:
        # On the event loop, with a connection of its own: in WAL mode a reader waits for nobody, and the few
        # rows are in the page cache; a hop to a thread and back costs more than the read.
        try:
            if self._mirror_db is None:
                self._mirror_db = connect(self.path, self._timeout_s, read_only=True)
            self._mirror.refresh(SqliteConnection(self._mirror_db), self._clock())
        except sqlite3.Error as error:
            raise translate(error, self.path) or error from error

    def _verify(self) -> list[Difference]:
        try:
            db = connect(self.path, self._timeout_s, read_only=True)
            try:
                db.execute("BEGIN")  # one view of the tables for all queries
                return list(verify.differences(SqliteConnection(db)))
            finally:
                db.close()
        except sqlite3.Error as error:
            raise translate(error, self.path) or error from error


def open_ledger(url: str, *, worker: str = "dcx-0", clock: Callable[[], int] = wall_clock) -> Ledger:
    """The ledger of a database URL. Raises StoreError for anything but a SQLite file."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        raise StoreError("the ledger needs a SQLite file")
    return Ledger(str(parsed.database), worker=worker, clock=clock)
