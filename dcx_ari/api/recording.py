"""Pausing the recording of a live call: `POST /api/calls/{id}/recording/pause` and `…/resume`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from dcx_ari.api.context import answer
from dcx_ari.services.errors import NotFound

Pause = Callable[[str, bool], Awaitable[bool]]
"""(call id, paused) -> whether a recording of that call runs."""


def routes(pause: Pause) -> Callable[[web.Application], None]:
    """Adds the routes to an application."""

    async def change(request: web.Request, *, paused: bool) -> web.Response:
        call_id = request.match_info["id"]
        if not await pause(call_id, paused):
            raise NotFound("recording", f"no recording of call {call_id!r} runs")
        return answer({"id": call_id, "recording": "paused" if paused else "recording"})

    def add_routes(app: web.Application) -> None:
        app.router.add_post("/api/calls/{id}/recording/pause", partial(change, paused=True))
        app.router.add_post("/api/calls/{id}/recording/resume", partial(change, paused=False))

    return add_routes
