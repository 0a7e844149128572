"""The ledger as the rest of the engine sees it: coroutines over one writing thread and one reading thread."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dcx_ari.decide.caps import CounterKey, Hold, Outcome
from dcx_ari.store.db import parse_url
from dcx_ari.store.errors import StoreError, translate
from dcx_ari.store.ledger import usage, verify
from dcx_ari.store.ledger.connections import LedgerConnection, LedgerDatabase
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
from dcx_ari.store.ledger.sqlite import SqliteLedger
from dcx_ari.store.ledger.tx import Connection
from dcx_ari.store.ledger.types import Adjusted, Converted, Difference, Figure, Money, Refused, Reserved, Spacing, Sums
from dcx_ari.store.ledger.writer import Request, Writer

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
        """`path` is that of a SQLite file, or a PostgreSQL URL."""
        self.path = path
        self.worker = worker
        self._clock = clock
        self._database = _database(path, busy_timeout_ms / 1000)
        self._writer = Writer(self._database)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="dcx-ledger-read")
        self._read_db: LedgerConnection | None = None
        self._mirror = Mirror()
        self._mirror_db: LedgerConnection | None = None
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
            now = self._clock()
            async with self._loading:
                if not self._mirror.loaded:
                    self._mirror.start(await self._read(lambda db: self._mirror.current(db, now)), now)
        if self._database.reads_at_once:
            self._refresh()
        else:
            # One reading thread: answers come in the order of the questions, and none is older than the one before.
            self._mirror.take(await self._read(self._mirror.changed), self._clock())
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
        await asyncio.to_thread(self._close_reading)

    def _close_reading(self) -> None:
        self._reader.shutdown()
        for db in (self._read_db, self._mirror_db):
            if db is not None:
                db.close()
        self._read_db = self._mirror_db = None

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read_now, query)

    def _read_now(self, query: Callable[[Connection], T]) -> T:
        try:
            return self._read_on(query)
        except self._database.errors as error:
            raise self._told(error) from error

    def _read_on(self, query: Callable[[Connection], T]) -> T:
        """A connection that was lost since it was used last is no reason to fail: once, another is made."""
        kept = self._read_db is not None
        try:
            self._read_db = self._read_db or self._database.connect(read_only=True)
            return query(self._read_db)
        except self._database.errors:
            if self._read_db is None or not self._read_db.lost:
                raise
            self._read_db.close()
            self._read_db = None
            if not kept:
                raise
        return self._read_on(query)

    def _refresh(self) -> None:
        # On the event loop, with a connection of its own: in WAL mode a reader waits for nobody, and the few
        # rows are in the page cache; a hop to a thread and back costs more than the read.
        try:
            self._mirror_db = self._mirror_db or self._database.connect(read_only=True)
            self._mirror.take(self._mirror.changed(self._mirror_db), self._clock())
        except self._database.errors as error:
            raise self._told(error) from error

    def _verify(self) -> list[Difference]:
        try:
            db = self._database.connect(read_only=True)
            try:
                db.begin_reading()  # one view of the tables for all queries
                return list(verify.differences(db))
            finally:
                db.close()
        except self._database.errors as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> Exception:
        return translate(error, self._database.where) or error


def _database(where: str, timeout_s: float) -> LedgerDatabase:
    if not where.startswith("postgres"):
        return SqliteLedger(where, timeout_s)
    try:
        from dcx_ari.store.ledger.pg import PgLedger  # asyncpg is installed by those who want it
    except ModuleNotFoundError:
        raise StoreError("database url: asyncpg is not installed: pip install 'dcx-ari[postgres]'") from None
    return PgLedger(parse_url(where), timeout_s)


def open_ledger(url: str, *, worker: str = "dcx-0", clock: Callable[[], int] = wall_clock) -> Ledger:
    """The ledger of a database URL. Raises StoreError for one that cannot work."""
    parsed = parse_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return Ledger(parsed.render_as_string(hide_password=False), worker=worker, clock=clock)
    if parsed.database in (None, "", ":memory:"):
        raise StoreError("the ledger needs a SQLite file, or PostgreSQL")
    return Ledger(str(parsed.database), worker=worker, clock=clock)
