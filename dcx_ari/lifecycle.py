"""What the engine does around calls: after each connection to Asterisk, and at the end of each call."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dcx_ari.adoption import Adoption
from dcx_ari.ari.trunks import TrunkObjects
from dcx_ari.call.call import Call
from dcx_ari.call.exchange import Exchange
from dcx_ari.configuration import Configuration
from dcx_ari.decide.caps import Outcome
from dcx_ari.desk import StoreDesk
from dcx_ari.metrics import Metrics
from dcx_ari.settlement import cost_of, payout_of
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.journal import Journal
from dcx_ari.store.ledger import Ledger, LedgerError, Money, Sums
from dcx_ari.store.models.workers import Worker, WorkerState
from dcx_ari.store.workers import last_seen, seen

log = logging.getLogger(__name__)

_RETRY_S = 1.0


class StoreLifecycle:
    """Implements the `Lifecycle` port on the real store."""

    def __init__(
        self,
        configuration: Configuration,
        database: Database,
        ledger: Ledger,
        journal: Journal,
        desk: StoreDesk,
        trunks: TrunkObjects,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._configuration = configuration
        self._database = database
        self._ledger = ledger
        self._journal = journal
        self._desk = desk
        self._trunks = trunks
        self._metrics = metrics
        self._now_ms = now_ms
        self._began = now_ms()
        self._asterisk_started = ""
        self._stopping = asyncio.Event()
        self._adoption = Adoption(configuration, database, journal, metrics, now_ms)

    # -- connection -----------------------------------------------------------------------------------------

    async def connected(self, exchange: Exchange) -> None:
        """Push the trunks, take over the calls of an earlier process, free what dead calls held."""
        started = exchange.asterisk_started
        if started != self._asterisk_started:
            self._trunks.forget()  # another Asterisk than before: it knows none of them
        await self.push_trunks()
        before = self._now_ms()
        known = await last_seen(self._database, exchange.app)  # ourselves, or the process before us
        former = self._asterisk_started or (known.asterisk_started if known is not None else "")
        self._asterisk_started = started
        await self._adoption.take_over(
            exchange,
            exchange.app,
            restarted=former not in ("", started),
            seen_at=known.seen_at if known is not None else before,
        )
        self.alive(exchange)
        await self._free(exchange, before)

    async def inherit(self, exchange: Exchange, dead: Worker) -> None:
        """Take over the calls of another slot, dead until we have returned. Raises StoreError, AriError."""
        before = self._now_ms()
        await self._adoption.take_over(
            exchange,
            dead.slot,
            restarted=dead.asterisk_started not in ("", self._asterisk_started),
            seen_at=dead.seen_at,
        )
        await self._free(exchange, before)

    async def _free(self, exchange: Exchange, before: int) -> None:
        freed = await self._ledger.release_orphans(set(exchange.calls), before=before)
        if freed:
            log.info("freed the holds of %d attempts whose calls are gone", len(freed))

    def alive(self, exchange: Exchange, state: WorkerState = "up") -> None:
        """Say that this worker lives, and what it does; written with the next group commit."""
        known = (os.getpid(), state, len(exchange.calls), self._began, self._now_ms(), self._asterisk_started)
        self._journal.statement(*seen(exchange.app, *known))

    async def push_trunks(self) -> None:
        for problem in await self._trunks.sync(self._configuration.trunks):
            log.error("%s", problem)

    # -- the end of a call ----------------------------------------------------------------------------------

    async def closed(self, call: Call) -> None:
        """Settle what is held, book payout and cost, write the end of the row."""
        now = self._now_ms()
        account = self._desk.account(call)
        self._desk.keep_decision(call)
        status, reason = outcome_of(call)
        end: dict[str, Any] = {
            "ended_at": now,
            "status": status,
            "failure_reason": reason,
            "ended_by": call.ended_by or "system",
            "cause": call.caller.ended.cause if call.caller.ended else None,
            "talk_ms": talk_ms(call, now),
            "tags": call.tags,
            "stage": "ended",
        }
        self._metrics.calls.labels(status).inc()
        try:
            if account.buyers and not call.facts.test:
                end |= await self._settled(call, now)
            self._journal.update(call.id, **end)  # in one piece: who is told of the end is told of the money
            await self._journal.durable()
        except StoreError as error:
            # The row stays open in the database, or the journal keeps its end: it is closed, with its money, later.
            log.error("the end of a call could not be written: %s", error, extra={"call": call.id})
        finally:
            self._journal.forget(call.id)
            self._desk.forget(call)

    async def _settled(self, call: Call, now: int) -> dict[str, Any]:
        """As `_settle`, when what is owed is paid: the call is not over before the database can be told, unless we
        stop. What the ledger does not take at all is told of, and the row is closed without it.
        """
        while True:
            try:
                await self._desk.account(call).owed.pay()
                return await self._settle(call, now)
            except LedgerError as error:
                log.error("a call could not be settled: %s", error, extra={"call": call.id})
                return {}
            except StoreError as error:
                if not error.retry or self._stopping.is_set():
                    raise
                log.warning("the end of a call waits: %s", error, extra={"call": call.id})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RETRY_S)

    def stop(self) -> None:
        """Wait for no database any more."""
        self._stopping.set()

    async def _settle(self, call: Call, now: int) -> dict[str, Any]:
        """What the call's row is to say of its money. Raises StoreError, LedgerError."""
        account, snapshot = self._desk.account(call), self._desk.snapshot()

        def entries(money: Sums) -> list[Money]:
            due = payout_of(call, account, snapshot, money.revenue_cents, now)
            # A postback during the call has booked the source's share of it already.
            owed = [replace(entry, amount_cents=entry.amount_cents - money.payout_cents) for entry in due]
            return [*(entry for entry in owed if entry.amount_cents), *cost_of(call, snapshot)]

        sums = await self._ledger.close_call(
            call.id,
            entries,
            Outcome(answered=account.connected is not None),
            expected_revenue=account.revenue_cents,
            counts=account.counts_of_call(),
        )
        return {
            "revenue_cents": sums.revenue_cents,
            "payout_cents": sums.payout_cents,
            "cost_cents": sums.cost_cents,
            "source_converted": sums.payout_cents > 0,
        }


def talk_ms(call: Call, now: int) -> int:
    """Milliseconds for which the caller was bridged, over all legs."""
    end = call.caller.ended_at or now
    return sum((leg.ended_at or end) - leg.bridged_at for leg in call.legs.values() if leg.bridged_at is not None)


def outcome_of(call: Call) -> tuple[str, str | None]:
    """Status and failure reason of a call that is over."""
    if any(leg.bridged_at is not None for leg in call.legs.values()):
        return "COMPLETED", call.failure_reason if call.failure_reason == "node_lost" else None
    reason = call.failure_reason
    if call.left_message:
        return "VOICEMAIL", reason
    if reason is None and call.ended_by == "caller":
        return "ABANDONED", "caller_hung_up"
    if reason == "blocked":
        return "BLOCKED", reason
    if reason in ("all_no_answer", "forward_no_answer"):
        return "NO_ANSWER", reason
    if reason == "forward_busy":
        return "BUSY", reason
    return ("COMPLETED" if reason is None else "FAILED"), reason
