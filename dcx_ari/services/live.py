"""The calls that are up, as somebody may see them; and figures of now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from dcx_ari.bus import Message
from dcx_ari.decide.date_ranges import named_range
from dcx_ari.services.call_view import View
from dcx_ari.services.concurrency import concurrency
from dcx_ari.services.reports import conditions_of, figures, hidden_figures
from dcx_ari.services.times import rfc3339
from dcx_ari.store.db import Database
from dcx_ari.store.reports import Sums, sums_by

TOPIC = "live-calls"
"""Payload: `changed` (calls, whole) and `removed` (ids)."""
STATUSES = {"in-progress": "in_progress", "ringing": "ringing", "on-hold": "on_hold"}
_TODAY = {
    "converted": "converted_today",
    "revenue_cents": "revenue_today_cents",
    "payout_cents": "payout_today_cents",
}

LiveCall = Mapping[str, Any]
"""JSON values of one call. `buyers` (id and name) and `source_id` say whose it is."""


class Coverage(NamedTuple):
    """The workers whose calls are shown, and those that live but are not heard.

    `degraded` says why calls may be missing.
    """

    workers: Sequence[str]
    missing: Sequence[str] = ()
    degraded: str | None = None


COVERED = Coverage._fields


class LiveFeed(Protocol):
    """The calls that are up now, in all workers that can be heard."""

    def calls(self) -> Sequence[LiveCall]: ...

    def now_ms(self) -> int: ...

    def coverage(self) -> Coverage: ...

    async def fresh(self) -> None:
        """Returns when `calls` are those of all workers, or as many as answer within a second or so."""
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Messages on `TOPIC` from the moment of entering on; one without calls says that the coverage has changed."""
        ...


def covered(coverage: Coverage, view: View) -> dict[str, Any]:
    """JSON values. Whose key is tied to a buyer or a source is told whether calls may be missing, and nothing of us."""
    if view.buyer_id is None and view.source_id is None:
        return {"workers": list(coverage.workers), "missing": list(coverage.missing), "degraded": coverage.degraded}
    return {"workers": [], "missing": [], "degraded": "some calls may be missing" if coverage.degraded else None}


def seen(call: LiveCall, view: View) -> dict[str, Any] | None:
    """The call as this view may see it; None where it may not. Of its buyers a buyer sees himself, a source nobody."""
    shown, buyers = dict(call), list(call["buyers"])
    del shown["buyers"]
    if view.buyer_id is not None:
        buyers = [each for each in buyers if each["id"] == view.buyer_id]
        if not buyers:
            return None
        shown |= {"source": None, "source_id": None}
    if view.source_id is not None:
        if view.source_id != call["source_id"]:
            return None
        buyers = []
    shown["buyer_ids"] = [each["id"] for each in buyers]
    shown["buyer"] = ", ".join(each["name"] for each in buyers) or None
    return shown


class LiveMetrics:
    """What `/ws/live-metrics` tells; worked out at most once in `FRESH_S` for all who look with the same rights."""

    FRESH_S = 0.4

    def __init__(self, database: Database, feed: Callable[[], LiveFeed]) -> None:
        self._database = database
        self._feed = feed
        self._known: dict[tuple[int | None, int | None], tuple[float, dict[str, Any]]] = {}
        self._asking = asyncio.Lock()

    async def of(self, view: View) -> dict[str, Any]:
        """Raises StoreError."""
        key = (view.buyer_id, view.source_id)
        async with self._asking:
            found = self._known.get(key)
            if found is None or time.monotonic() - found[0] >= self.FRESH_S:
                if len(self._known) > 1_000:
                    self._known.clear()
                found = self._known[key] = (time.monotonic(), await self._ask(view))
        return found[1]

    async def _ask(self, view: View) -> dict[str, Any]:
        feed = self._feed()
        await feed.fresh()
        calls = [call for call in feed.calls() if seen(call, view) is not None]
        today = named_range("today", feed.now_ms(), view.zone)
        async with self._database.read() as session:
            sums = (await sums_by(session, [], await conditions_of(session, {}, today, view))).get((), Sums())
            active = await concurrency(session, view)
        hidden = hidden_figures(view)
        money = figures(sums, [name for name in _TODAY if name not in hidden])
        return {
            "calls_in_progress": len(calls),
            **{name: sum(call["status"] == status for call in calls) for status, name in STATUSES.items()},
            "active_cc": active,
            "calls_today": sums.calls,
            **{_TODAY[name]: value for name, value in money.items()},
        }


async def now_of(feed: LiveFeed, metrics: LiveMetrics, view: View) -> dict[str, Any]:
    """Figures and calls at once, for a script."""
    found = await metrics.of(view)
    await feed.fresh()
    calls = [shown for call in feed.calls() if (shown := seen(call, view)) is not None]
    return {"at": rfc3339(feed.now_ms()), "metrics": found, "calls": calls, **covered(feed.coverage(), view)}
