"""Calls that another process left: taken over, closed or put away, as `decide.recovery` says of each.

The process is an earlier one of our own slot, whose channels are ours by the name of the application; or one of
another slot that has died. Its channels stay where they are, in bridges too: we follow their events by subscription.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.ari.models import Channel
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.ids import call_of
from dcx_ari.call.inbound import inbound_of
from dcx_ari.call.saved import Saved, revive
from dcx_ari.configuration import Configuration
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.recovery import Hangup, Live, recover
from dcx_ari.flows.resume import resumed
from dcx_ari.metrics import Metrics
from dcx_ari.store.calls import ADOPTED, open_calls, open_ids
from dcx_ari.store.db import Database
from dcx_ari.store.journal import Journal
from dcx_ari.store.news import facts
from dcx_ari.store.workers import claim_calls

log = logging.getLogger(__name__)

_STASIS = "Stasis"
_LEG_OF = re.compile(r" role=leg owner=(\S+)")  # see `Call.marks`


class Adoption:
    """Goes through the open rows of a worker and through what Asterisk has of it. Idempotent."""

    def __init__(
        self,
        configuration: Configuration,
        database: Database,
        journal: Journal,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._configuration = configuration
        self._database = database
        self._journal = journal
        self._metrics = metrics
        self._now_ms = now_ms

    async def take_over(self, exchange: Exchange, worker: str, *, restarted: bool, seen_at: int) -> None:
        """Adopt the calls of `worker` that no process carries. If it is not ourselves, it must be dead until we have
        returned.

        `restarted`: Asterisk is another than the worker's last one. `seen_at` (epoch ms): when the worker was last
        alive; what ended unseen is taken to have ended then, so that nothing is billed that nobody saw.
        """
        if worker != exchange.app:
            await claim_calls(self._database, worker, exchange.app)
        rows = [row for row in await open_calls(self._database, exchange.app) if row.id not in exchange.calls]
        channels = await exchange.ari.channels.list()
        if worker != exchange.app:
            await self._follow(exchange, rows, worker, channels)
        bridges = await exchange.ari.bridges.list()
        live = Live(
            {channel.id: channel.state for channel in channels},
            {bridge.id: frozenset(bridge.channels) for bridge in bridges},
        )
        known = await facts(self._database, [row.id for row in rows]) if rows and self._journal.news.wanted else {}
        for saved in rows:
            self._adopt(exchange, saved, live, known, restarted, seen_at)
        if rows:
            log.info("took over %d calls of %s", len(rows), worker)
        await self._strays(exchange, worker, channels, live)
        if worker != exchange.app:
            await exchange.catch_up()  # between the list and the subscription

    def _adopt(
        self, exchange: Exchange, saved: Saved, live: Live, known: Mapping[str, Any], restarted: bool, seen_at: int
    ) -> None:
        verdict = recover(saved.id, saved.known(), live, restarted=restarted)
        if isinstance(verdict, Hangup):
            raise AssertionError("a call with a row is never just hung up")
        call = revive(saved, verdict, exchange.ari, exchange.app, exchange.ports, live, min(seen_at, self._now_ms()))
        self._journal.resumed(call.id, saved.last_event)
        if saved.id in known:
            self._journal.news.adopted(call.id, known[saved.id])
        word = type(verdict).__name__.lower()
        self._metrics.adopted.labels(word).inc()
        call.note(ADOPTED, by=exchange.app, verdict=word)
        exchange.adopt(call, resumed(saved, verdict, self._configuration.document, self._configuration.fresh))

    async def _follow(self, exchange: Exchange, rows: Iterable[Saved], worker: str, found: Iterable[Channel]) -> None:
        """Have the events of these calls' channels, and of whatever else waits in the worker's application."""
        ours = {name for row in rows for name in (row.id, row.facts.channel_id)}
        wanted = [c.id for c in found if c.id in ours or call_of(c.id) in ours or _application(c)[0] == worker]

        async def follow(channel_id: str) -> None:
            try:
                await exchange.ari.applications.subscribe(exchange.app, event_source=f"channel:{channel_id}")
            except Gone:
                pass
            except AriError as error:
                log.warning("the events of channel %s cannot be had: %s", channel_id, error)

        await asyncio.gather(*(follow(name) for name in wanted))

    async def _strays(self, exchange: Exchange, worker: str, channels: Iterable[Channel], live: Live) -> None:
        """Callers whose row was not committed begin anew; whatever else is the worker's and belongs to no call ends."""
        lost: set[str] = set()
        others = await open_ids(self._database)  # a channel of another's call shows its first worker
        for channel in channels:
            name, arguments = _application(channel)
            if name != worker or exchange.owns(channel.id) or call_of(channel.id) in exchange.calls:
                continue
            if channel.id in others or call_of(channel.id) in others:
                continue
            inbound = inbound_of(channel, arguments)
            if inbound is None:
                lost.add(channel.id)
            else:
                exchange.take(inbound)
        calls = {call_of(name) for name in lost}
        bridges = [bridge for bridge in live.bridges if call_of(bridge) in calls]
        await asyncio.gather(*(self._hangup(exchange, name) for name in lost))
        for bridge in bridges:
            try:
                await exchange.ari.bridges.destroy(bridge)
            except Gone:
                continue

    async def _hangup(self, exchange: Exchange, channel_id: str) -> None:
        self._metrics.orphans.inc()
        try:
            await exchange.ari.channels.hangup(channel_id, reason_code=str(Cause.NORMAL))
        except Gone:
            pass
        except AriError as error:
            log.warning("orphan channel %s: %s", channel_id, error)


def _application(channel: Channel) -> tuple[str, list[str]]:
    """The Stasis application that a channel is in, and what it was told; "" where it is in none. A leg that rings is in
    none yet, but marked as somebody's."""
    if channel.dialplan.app_name != _STASIS:
        mark = _LEG_OF.search(str((channel.channelvars or {}).get("DCX", "")))
        return ("", []) if mark is None else (mark[1], ["leg"])
    name, *arguments = (channel.dialplan.app_data or "").split(",", 2)
    return name, arguments
