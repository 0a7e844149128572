"""Work that one process does for all: jobs that come due, and standing work such as delivering the outbox.

Every process that can run them has a `Jobs`; a lease in the database decides which one does. The holder renews
it long before it runs out; when the holder dies, another takes over within `TAKEOVER_S`. A holder that was
frozen or cut off can overlap with the next for a moment, so what must happen once is claimed in the job's own
transaction: `store.leases.claim`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.clock import now_ms
from dcx_ari.store import leases
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

LEASE_S = 8.0
RENEW_S = 2.5
LOOK_S = 1.0
TAKEOVER_S = LEASE_S + LOOK_S
_SOONEST_MS = 200
_AGAIN_MS = 5_000  # after the database was away
_FAILED_MS = 60_000
_RECORD_MS = 60_000  # a job that runs every few seconds is not written down every time
_LONGEST_S = 60.0  # a clock that was set forward is noticed within this


@dataclass(frozen=True, slots=True)
class Job:
    """`run(now)` does what is due and says when to come again; both epoch ms. Run at once after each start.

    A job that raises is logged and run again in a minute; StoreError (the database is away): in 5 s. It can be
    cancelled at any await: what belongs together is one transaction.
    """

    name: str
    run: Callable[[int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """`run()` works until it is cancelled. One that raises is started again after a pause."""

    name: str
    run: Callable[[], Awaitable[None]]


class Jobs:
    """Runs `jobs` and `standing` while this process holds the lease."""

    def __init__(
        self,
        database: Database,
        holder: str,
        jobs: Sequence[Job],
        standing: Sequence[Standing] = (),
        *,
        clock: Callable[[], int] = now_ms,
        lease: str = "jobs",
    ) -> None:
        names = [job.name for job in jobs] + [each.name for each in standing]
        if len(set(names)) != len(names):
            raise ValueError(f"two jobs have one name: {', '.join(names)}")
        self.holding = False
        self._database = database
        self._holder = f"{holder}/{os.getpid()}/{secrets.token_hex(4)}"
        self._jobs = jobs
        self._standing = standing
        self._clock = clock
        self._lease = lease
        self._recorded: dict[str, tuple[int, str | None]] = {}

    async def run(self) -> None:
        """For ever: wait for the lease, work while we have it."""
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            if await self._take():
                log.info("this process runs the jobs now")
                try:
                    await self._work(asked)
                finally:
                    self.holding = False
                    with suppress(StoreError):
                        await leases.give_back(self._database, self._lease, self._holder)
                log.warning("the lease of the jobs is lost")
            await asyncio.sleep(LOOK_S)

    async def _take(self) -> bool | None:
        """Ask for the lease, or for more of it. None: the database could not be asked."""
        now = self._clock()
        until = now + round(LEASE_S * 1000)
        try:
            if self.holding:
                return await leases.keep(self._database, self._lease, self._holder, until)
            return await leases.take(self._database, self._lease, self._holder, now, until)
        except StoreError as error:
            log.warning("the lease of the jobs cannot be asked for: %s", error)
            return None

    async def _work(self, asked: float) -> None:
        """Until the lease is lost. `asked` is the loop's time just before it was taken."""
        loop = asyncio.get_running_loop()
        tasks = [
            *(asyncio.create_task(self._keep_running(job), name=f"job {job.name}") for job in self._jobs),
            *(asyncio.create_task(self._keep_up(each), name=f"standing {each.name}") for each in self._standing),
        ]
        self.holding = True
        try:
            while loop.time() < asked + LEASE_S:
                await asyncio.sleep(RENEW_S if loop.time() < asked + RENEW_S else LOOK_S)
                again = loop.time()
                if again >= asked + LEASE_S:
                    return  # we slept through it: somebody else may have it by now
                kept = await self._take()
                if kept is False:
                    return
                asked = again if kept else asked
        finally:
            await cancel_and_wait(*tasks)

    async def _keep_running(self, job: Job) -> None:
        while True:
            now = self._clock()
            error: str | None = None
            try:
                due = await job.run(now)
            except StoreError as gone:
                log.warning("job %s: %s", job.name, gone)
                due = now + _AGAIN_MS
            except Exception as failure:  # a boundary: one job that fails must not stop the others
                log.exception("job %s failed", job.name)
                due, error = now + _FAILED_MS, f"{type(failure).__name__}: {failure}"
            await self._record(job.name, now, due, error)
            await self._until(max(due, self._clock() + _SOONEST_MS))

    async def _until(self, due: int) -> None:
        while (left_ms := due - self._clock()) > 0:  # noqa: ASYNC110 — nothing happens but time
            await asyncio.sleep(min(left_ms / 1000, _LONGEST_S))

    async def _keep_up(self, standing: Standing) -> None:
        while True:
            try:
                await standing.run()
                log.error("%s stopped by itself", standing.name)
            except StoreError as gone:
                log.warning("%s: %s", standing.name, gone)
            except Exception:  # a boundary, as above
                log.exception("%s failed", standing.name)
            await asyncio.sleep(LOOK_S)

    async def _record(self, name: str, ran_at: int, next_at: int, error: str | None) -> None:
        last = self._recorded.get(name)
        if last is not None and last[1] == error and ran_at - last[0] < _RECORD_MS:
            return
        with suppress(StoreError):
            await leases.record_run(self._database, name, ran_at, next_at, error)
            self._recorded[name] = (ran_at, error)
