"""The one thread of a process that writes the ledger.

All requests waiting when the thread is free share one transaction under the write lock (group commit), in the
order they were made. Nothing is answered before its commit. A request that fails does so alone: the batch
is rolled back and its requests are run again one by one.
"""

import asyncio
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dcx_ari.store.errors import StatementRefused, StoreError, translate
from dcx_ari.store.ledger.connections import LedgerConnection, LedgerDatabase
from dcx_ari.store.ledger.memory import Memory
from dcx_ari.store.ledger.tx import Tx

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

MAX_BATCH = 256
_TRIES = 3  # of a transaction that a deadlock undid


class Request(Protocol[T_co]):
    """Something to do in a transaction. `apply` checks before it changes anything."""

    def apply(self, tx: Tx) -> T_co: ...


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

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dcx-ledger", daemon=True)
        self._closed = False
        self._memory = Memory()
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
        connection: LedgerConnection | None = None
        ending = False
        while not ending:
            jobs, ending = self._take()
            try:
                if connection is None:
                    self._memory.forget()
                    connection = self._database.connect()
            except Exception as error:  # a boundary, as in `_serve`
                self._fail(jobs, error)
            else:
                self._serve(connection, jobs)
                if connection.lost:
                    connection.close()
                    connection = None
            _deliver(jobs)
        if connection is not None:
            connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH or self._queue.empty():
                return jobs, False
            job = self._queue.get()
        return jobs, True

    def _serve(self, connection: LedgerConnection, jobs: Sequence[_Job]) -> None:
        try:
            self._transact(connection, jobs)
        except Exception as error:  # a boundary: whatever it is belongs to the one who asked
            if connection.lost:
                self._fail(jobs, error if isinstance(error, StoreError) else self._lost())
            elif len(jobs) == 1 or self._database.is_down(error):
                self._fail(jobs, error)
            else:
                for job in jobs:
                    self._serve(connection, [job])

    def _transact(self, connection: LedgerConnection, jobs: Sequence[_Job]) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._once(connection, jobs)
                return
            except self._database.errors as error:
                if not left or not self._database.passes(error):
                    raise

    def _once(self, connection: LedgerConnection, jobs: Sequence[_Job]) -> None:
        try:
            if not connection.begin():
                self._memory.forget()
            self._memory.trim()
            tx = Tx(connection, self._memory)
            for job in jobs:
                job.answer = job.request.apply(tx)
            tx.write()
            connection.commit()
        except BaseException:
            self._memory.forget()
            connection.rollback()
            raise

    def _lost(self) -> StoreError:
        return StoreError(f"database {self._database.where} does not answer: the connection was lost", retry=True)

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        if isinstance(error, self._database.errors):
            error = translate(error, self._database.where) or _refused(error)
        for job in jobs:
            job.error = error


def _refused(error: Exception) -> StatementRefused:
    refused = StatementRefused(f"{type(error).__name__}: {error}")
    refused.__cause__ = error
    return refused


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
