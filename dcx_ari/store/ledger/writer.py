"""The one thread of a process that writes the ledger on SQLite.

All requests waiting when the thread is free share one `BEGIN IMMEDIATE` … `COMMIT` (group commit), in the
order they were made. Nothing is answered before its commit. A request that fails does so alone: the batch
is rolled back and its requests are run again one by one.
"""

import asyncio
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from dcx_ari.store.errors import StoreError, translate
from dcx_ari.store.ledger.memory import Memory
from dcx_ari.store.ledger.tx import Params, Tx

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

MAX_BATCH = 256
_DOWN = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


class Request(Protocol[T_co]):
    """Something to do in a transaction. `apply` checks before it changes anything."""

    def apply(self, tx: Tx) -> T_co: ...


class SqliteConnection:
    """`tx.Connection` on sqlite3."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def rows(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        return self.db.execute(sql, params).fetchall()

    def many(self, sql: str, params: Iterable[Params]) -> None:
        self.db.executemany(sql, params)


@dataclass(slots=True)
class _Job:
    request: Request[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    answer: Any = None
    error: BaseException | None = None

    def deliver(self) -> None:
        if self.future.done():
            return  # the asker was cancelled; what it asked for is done all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)


class Writer:
    """Owns the thread and its connection. `submit` may be called from any number of tasks."""

    def __init__(self, path: str, busy_timeout_ms: int) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_ms / 1000
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dcx-ledger", daemon=True)
        self._closed = False
        self._memory = Memory()
        self._version = -1
        self._thread.start()

    async def submit(self, request: Request[T]) -> T:
        """The request's answer, after its commit. Raises LedgerError, StoreError.

        A cancelled asker does not undo its request: what it reserved must be released (later requests of
        the same task come after it).
        """
        if self._closed:
            raise StoreError("the ledger is closed")
        loop = asyncio.get_running_loop()
        job = _Job(request, loop.create_future(), loop)
        self._queue.put(job)
        answer: T = await job.future
        return answer

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        ending = False
        while not ending:
            jobs, ending = self._take()
            try:
                db = db or self._open()
            except sqlite3.Error as error:
                _fail(jobs, error, self._path)
            else:
                self._serve(db, jobs)
            _deliver(jobs)
        if db is not None:
            db.close()

    def _open(self) -> sqlite3.Connection:
        db = connect(self._path, self._busy_timeout_s)
        db.execute("PRAGMA busy_timeout = 0")  # only BEGIN ever waits, see `begin`
        return db

    def _take(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH or self._queue.empty():
                return jobs, False
            job = self._queue.get()
        return jobs, True

    def _serve(self, db: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        try:
            self._transact(db, jobs)
        except Exception as error:  # a boundary: whatever it is belongs to the one who asked
            if len(jobs) == 1 or _is_down(error):
                _fail(jobs, error, self._path)
            else:
                for job in jobs:
                    self._serve(db, [job])

    def _transact(self, db: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        begin(db, self._busy_timeout_s)
        try:
            self._recall(db)
            tx = Tx(SqliteConnection(db), self._memory)
            for job in jobs:
                job.answer = job.request.apply(tx)
            tx.write()
            db.execute("COMMIT")
        except BaseException:
            self._memory.forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _recall(self, db: sqlite3.Connection) -> None:
        """Under the write lock: nobody else can commit from now on, so what is still right stays right."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._memory.forget()
        self._memory.trim()


def _is_down(error: Exception) -> bool:
    """Whether the database refuses whatever is asked now (locked, full, read-only, damaged)."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DOWN


def _fail(jobs: Sequence[_Job], error: Exception, path: str) -> None:
    for job in jobs:
        job.error = translate(error, path) or error


def _deliver(jobs: Sequence[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver_all, done)
        except RuntimeError:
            continue  # its event loop has ended: nobody is waiting


def _deliver_all(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.deliver()


def connect(path: str, timeout_s: float, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in WAL mode that says BEGIN itself and may be used by another thread than this one."""
    target = f"file:{quote(path)}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(target, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    if not read_only:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        # Calls wait for a checkpoint: with the default of 1,000 pages, and still with 4,000, it is what the slowest
        # 1 % of them meet. 16,000 pages are 64 MB beside the database.
        db.execute("PRAGMA wal_autocheckpoint = 16000")
    return db


def begin(db: sqlite3.Connection, timeout_s: float) -> None:
    """BEGIN IMMEDIATE, on a connection with a busy timeout of 0: SQLite's own busy handler sleeps up to 100 ms at a
    time; short random waits are fairer.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 — a wait, not a secret
