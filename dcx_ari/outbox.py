"""Delivers the outbox: at least once, each row with one id and one content; in order where rows have an order.

Runs in the process that holds the lease (`jobs.Standing`). A row that is being sent is still pending in the
database: who is killed in the middle loses nothing, and the next process sends it again, the same.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prometheus_client import Counter as Figure

from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.backoff import next_delay_ms
from dcx_ari.integrations.http import GuardedSession, Targets
from dcx_ari.integrations.mail import MailSender
from dcx_ari.integrations.results import Result
from dcx_ari.integrations.webhooks import send_slack, send_webhook
from dcx_ari.store import deliveries
from dcx_ari.store.db import Database
from dcx_ari.store.deliveries import Done, Due
from dcx_ari.store.errors import StoreError
from dcx_ari.store.outbox import tell
from dcx_ari.store.targets import public_url

log = logging.getLogger(__name__)

AT_ONCE = 32
PER_ENDPOINT = 4
POLL_S = 1.0
GRACE_S = 2.0
DISABLE_AFTER_MS = 5 * 86_400_000
"""An endpoint to which nothing got through for so long is switched off."""
_WAIT_MS = 60_000  # for a mail server to be set
_SLACK_GAP_MS = 1_000  # one message a second and channel, https://api.slack.com/docs/rate-limits
_MAIL = 0  # stands for the mail server where others have the id of their endpoint


class Deliverer:
    """`clock` gives epoch ms, `draw` the jitter in [0, 1). `attempts` counts by kind and result."""

    def __init__(
        self,
        database: Database,
        targets: Targets,
        mail: MailSender,
        clock: Callable[[], int],
        *,
        draw: Callable[[], float] = random.random,
        attempts: Figure | None = None,
    ) -> None:
        self._database = database
        self._targets = targets
        self._mail = mail
        self._clock = clock
        self._draw = draw
        self._attempts = attempts
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by seq: rows that are being sent
        self._sending: dict[int, int] = {}  # seq -> endpoint; until what became of the row is written down
        self._done: list[tuple[Due, Result, int]] = []
        self._held: dict[int, int] = {}  # endpoint -> not before, epoch ms

    async def run(self) -> None:
        """For ever. Wakes at once for rows written by this process, else within `POLL_S`. Raises nothing: a database
        that is away is waited for.
        """
        wake = self._database.told
        async with GuardedSession(self._targets, limit=AT_ONCE) as http:
            try:
                while True:
                    wake.clear()
                    try:
                        await self._write_down()
                        await self._start_due(http)
                    except StoreError as error:
                        log.warning("outbox: %s", error)
                        await asyncio.sleep(POLL_S)
                        continue
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await wake.wait()
            finally:
                await self._finish()

    async def deliver_due(self) -> None:
        """Once: send what is due now, write down what became of it, return. Raises StoreError."""
        async with GuardedSession(self._targets, limit=AT_ONCE) as http:
            await self._start_due(http)
            while self._sending:
                if self._tasks:
                    await asyncio.wait(self._tasks.values())
                await self._write_down()
                await self._start_due(http)

    async def _finish(self) -> None:
        """Let what is on its way arrive, if it does so soon."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=GRACE_S)
        await cancel_and_wait(*self._tasks.values())
        try:
            await self._write_down()
        except StoreError as error:
            log.warning("outbox: what was delivered last could not be written down and is sent again: %s", error)
        self._sending.clear()
        self._tasks.clear()

    # -- sending --------------------------------------------------------------------------------------------

    async def _start_due(self, http: GuardedSession) -> None:
        now = self._clock()
        if not await deliveries.anything_due(self._database, now):
            return
        while (room := AT_ONCE - len(self._tasks)) > 0:
            rows = await deliveries.due_rows(
                self._database, now, room, busy=self._busy(now), in_flight=self._sending.keys()
            )
            for row in rows:
                if (row.endpoint_id or _MAIL) not in self._busy(now):
                    self._sending[row.seq] = row.endpoint_id or _MAIL
                    self._tasks[row.seq] = asyncio.create_task(self._send(http, row), name=f"outbox {row.id}")
                    if row.kind == "slack":
                        self._held[row.endpoint_id or _MAIL] = now + _SLACK_GAP_MS
            if not rows:
                return

    def _busy(self, now: int) -> set[int]:
        """Endpoints that are sent no more right now."""
        self._held = {endpoint: until for endpoint, until in self._held.items() if until > now}
        sending = Counter(self._sending.values())
        return {endpoint for endpoint, count in sending.items() if count >= PER_ENDPOINT} | self._held.keys()

    async def _send(self, http: GuardedSession, row: Due) -> None:
        at = self._clock()
        try:
            result = await self._attempt(http, row, at)
        except Exception as error:  # a boundary: a row that cannot be sent must not stop the others
            log.exception("outbox %s", row.id)
            result = Result(False, error=f"{type(error).__name__}: {error}"[:300])
        finally:
            self._tasks.pop(row.seq, None)
        if self._attempts is not None and not result.waiting:
            self._attempts.labels(row.kind, "delivered" if result.ok else "failed").inc()
        self._done.append((row, result, at))
        self._database.told.set()

    async def _attempt(self, http: GuardedSession, row: Due, at: int) -> Result:
        if row.kind == "email":
            return await self._mail.send(row.id, row.payload, row.created_at, row.recipients)
        if row.url is None:
            return Result(False, error="its endpoint was removed", final=True)
        if row.kind == "slack":
            return await send_slack(http, row.url, row.payload)
        return await send_webhook(http, row.url, row.secrets, row.id, row.payload, at)

    # -- what became of it ----------------------------------------------------------------------------------

    async def _write_down(self) -> None:
        """All results so far in one transaction. Raises StoreError: then they are kept."""
        if not self._done:
            return
        done = list(self._done)
        now = self._clock()
        async with self._database.write() as session:
            connection = await session.connection()
            await deliveries.record(connection, [self._judge(*each) for each in done])
            for row, result, at in done:
                await self._note_endpoint(session, row, result, at, now)
        del self._done[: len(done)]
        for row, result, _ in done:
            del self._sending[row.seq]
            if result.retry_after_s and row.endpoint_id is not None:
                self._held[row.endpoint_id] = now + round(min(result.retry_after_s, 3600) * 1000)
            if not result.ok:
                log.warning("outbox %s (%s) was not delivered: %s", row.id, row.event, result.error)

    def _judge(self, row: Due, result: Result, at: int) -> Done:
        state, next_at = "delivered", 0
        if result.waiting:
            state, next_at = "pending", at + _WAIT_MS
        elif not result.ok:
            delay = None if result.final else next_delay_ms(row.attempts + 1, self._draw(), result.retry_after_s)
            state, next_at = ("dead", 0) if delay is None else ("pending", at + result.took_ms + delay)
        return Done(
            row=row,
            at=at,
            state=state,
            next_at=next_at,
            status=result.status,
            error=result.error,
            answer=result.answer,
            took_ms=result.took_ms,
            attempt=not result.waiting,
            recipients=None if result.recipients is None else dict(result.recipients),
        )

    async def _note_endpoint(self, session: Any, row: Due, result: Result, at: int, now: int) -> None:
        """Since when nothing gets through; and off with it when that is too long, or it says that it is gone."""
        if row.endpoint_id is None or row.url is None:
            return
        connection = await session.connection()
        if result.ok:
            if row.failing_since is not None:
                await deliveries.endpoint_succeeded(connection, row.endpoint_id)
            return
        since = row.failing_since
        if since is None:
            await deliveries.endpoint_failed(connection, row.endpoint_id, at)
        reason = result.disable
        if reason is None and since is not None and at - since >= DISABLE_AFTER_MS:
            reason = f"nothing got through for {(at - since) // 86_400_000} days; last: {result.error}"
        if reason is not None and await deliveries.disable_endpoint(session, row.endpoint_id, reason, now):
            log.error("webhook endpoint %s is switched off: %s", row.endpoint_id, reason)
            about = {"endpoint_id": row.endpoint_id, "url": public_url(row.url, row.kind), "reason": reason}
            await tell(session, "endpoint.disabled", about, at_ms=now)
