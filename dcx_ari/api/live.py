"""Live calls and live figures: a WebSocket for each, tickets to open them with, and both at once for a script.

Every message carries `seq`, one more than the one before. First comes a snapshot, then changes; a listener that
is too slow for them gets a snapshot again instead of what it missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from dcx_ari.api.access import TICKETS, TOKEN
from dcx_ari.api.context import answer, context, holder
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, nullable
from dcx_ari.api.sockets import MOST, Line, Sockets
from dcx_ari.bus import Message
from dcx_ari.services.call_view import View
from dcx_ari.services.live import COVERED, LiveFeed, LiveMetrics, covered, now_of, seen
from dcx_ari.services.tickets import VALID_S
from dcx_ari.services.times import rfc3339

_TICK_S = 0.5
_TICKET = {"ticket": Param("From POST /api/live/tickets, where no Authorization header can be sent.")}
_COUNTS = fields(
    ("converted_today", "revenue_today_cents", "payout_today_cents"),
    calls_in_progress=NUMBER,
    in_progress=NUMBER,
    ringing=NUMBER,
    on_hold=NUMBER,
    active_cc=fields(used=nullable(NUMBER), limit=nullable(NUMBER)),
    calls_today=NUMBER,
    converted_today=NUMBER,
    revenue_today_cents=NUMBER,
    payout_today_cents=NUMBER,
)
_CALL = fields(
    id=TEXT,
    status={"type": "string", "enum": ["ringing", "in-progress", "on-hold"]},
    stage=TEXT,
    caller=TEXT,
    number=TEXT,
    campaign_id=nullable(NUMBER),
    campaign=nullable(TEXT),
    source_id=nullable(NUMBER),
    source=nullable(TEXT),
    buyer_ids={"type": "array", "items": NUMBER},
    buyer=nullable(TEXT),
    started_at=MOMENT,
    answered_at=nullable(MOMENT),
    connected_at=nullable(MOMENT),
    test=YES_NO,
)


def routes(feed: Callable[[], LiveFeed | None], most: int = MOST) -> Callable[[web.Application], None]:
    """Routes over a feed, which is asked for when somebody comes; None: this process has no calls to show. `most`
    sockets may be open at a time.
    """

    def add_routes(app: web.Application) -> None:
        live = _Live(feed, most)
        app.on_shutdown.append(live.sockets.close)
        declare(app, live.routes())

    return add_routes


class _Live:
    def __init__(self, feed: Callable[[], LiveFeed | None], most: int) -> None:
        self.sockets = Sockets("live.view", most)
        self._found = feed
        self._metrics: LiveMetrics | None = None

    def routes(self) -> list[Route]:
        shared: dict[str, Any] = {"permission": "live.view", "tag": "live"}
        socket = {**shared, "method": "GET", "query": _TICKET, "status": 101, "refuses": (503,)}
        return [
            Route(
                path="/ws/live-calls",
                handler=self._calls,
                summary="WebSocket: the calls that are up, then every change",
                **socket,
            ),
            Route(
                path="/ws/live-metrics",
                handler=self._figures,
                summary="WebSocket: figures of now, then every change",
                **socket,
            ),
            Route(
                method="GET",
                path="/api/live",
                handler=self._now,
                summary="The calls that are up and the figures of now, once",
                answer=fields(
                    at=MOMENT,
                    metrics=_COUNTS,
                    calls={"type": "array", "items": _CALL},
                    workers={"type": "array", "items": TEXT},
                    missing={"type": "array", "items": TEXT},
                    degraded=nullable(TEXT),
                ),
                refuses=(503,),
                **shared,
            ),
            Route(
                method="POST",
                path="/api/live/tickets",
                handler=self._ticket,
                summary="A ticket that opens one WebSocket, within half a minute",
                status=201,
                answer=fields(ticket=TEXT, expires_at=MOMENT),
                refuses=(503,),
                **shared,
            ),
        ]

    def _feed(self) -> LiveFeed:
        """Raises HTTP 503."""
        feed = self._found()
        if feed is None:
            raise web.HTTPServiceUnavailable
        return feed

    async def _ticket(self, request: web.Request) -> web.Response:
        ticket = request.app[TICKETS].give(request[TOKEN])
        return answer({"ticket": ticket, "expires_at": rfc3339(self._feed().now_ms() + VALID_S * 1000)}, 201)

    async def _now(self, request: web.Request) -> web.Response:
        return answer(await now_of(self._feed(), self._metrics_of(request), _view(request)))

    async def _calls(self, request: web.Request) -> web.StreamResponse:
        feed, view = self._feed(), _view(request)

        async def tell(line: Line) -> None:
            async with feed.watch() as messages:
                await feed.fresh()
                shown, told = await _snapshot(line, feed, view)
                async for message in messages:
                    if message.gap:
                        shown, told = await _snapshot(line, feed, view)
                        continue
                    changes, now = _changes(message, view, shown), covered(feed.coverage(), view)
                    if now != told:
                        changes, told = {"changed": [], "removed": [], **changes, **now}, now
                    if changes:
                        await line.send("changes", at=rfc3339(feed.now_ms()), **changes)

        return await self.sockets.serve(request, tell)

    async def _figures(self, request: web.Request) -> web.StreamResponse:
        feed, view, metrics = self._feed(), _view(request), self._metrics_of(request)

        async def tell(line: Line) -> None:
            told = await metrics.of(view) | covered(feed.coverage(), view)
            await line.send("snapshot", at=rfc3339(feed.now_ms()), **_apart(told))
            while True:
                await line.pause(_TICK_S)
                now = await metrics.of(view) | covered(feed.coverage(), view)
                if changed := {name: value for name, value in now.items() if value != told.get(name)}:
                    await line.send("changes", at=rfc3339(feed.now_ms()), **_apart(changed))
                told = now

        return await self.sockets.serve(request, tell)

    def _metrics_of(self, request: web.Request) -> LiveMetrics:
        """One for all: what two see alike is asked for once."""
        if self._metrics is None:
            self._metrics = LiveMetrics(context(request).database, self._feed)
        return self._metrics


def _view(request: web.Request) -> View:
    found = holder(request)
    return View(context(request).zone, found.buyer_id, found.source_id)


def _apart(told: dict[str, Any]) -> dict[str, Any]:
    """Figures in `metrics`, whose calls they count beside them."""
    return {
        "metrics": {name: value for name, value in told.items() if name not in COVERED},
        **{name: value for name, value in told.items() if name in COVERED},
    }


async def _snapshot(line: Line, feed: LiveFeed, view: View) -> tuple[set[str], dict[str, Any]]:
    """Everything; the ids of the calls, and the coverage. With the subscription open, so nothing falls between."""
    calls = [shown for call in feed.calls() if (shown := seen(call, view)) is not None]
    told = covered(feed.coverage(), view)
    await line.send("snapshot", at=rfc3339(feed.now_ms()), calls=calls, **told)
    return {call["id"] for call in calls}, told


def _changes(message: Message, view: View, shown: set[str]) -> dict[str, Any]:
    """What of a message is for this view; a call that it may not see any more is removed from it."""
    changed, removed = [], [each for each in message.payload["removed"] if each in shown]
    for call in message.payload["changed"]:
        mine = seen(call, view)
        if mine is not None:
            changed.append(mine)
        elif call["id"] in shown:
            removed.append(call["id"])
    shown.difference_update(removed)
    shown.update(call["id"] for call in changed)
    return {"changed": changed, "removed": removed} if changed or removed else {}
