"""Pausing the recording of a live call: `POST /api/calls/{id}/recording/pause` and `…/resume`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from dcx_ari.api.context import answer
from dcx_ari.services.errors import NotFound

Pause = Callable[[str, bool], Awaitable[bool]]
"""(call id, paused) -> whether a recording of that call runs."""


def routes(pause: Pause) -> Callable[[web.Application], None]:
    """Adds the routes to an application."""

    async def handle(request: web.Request) -> web.Response:
        call_id, action = request.match_info["id"], request.match_info["action"]
        if not await pause(call_id, action == "pause"):
            raise NotFound("recording", f"no recording of call {call_id} runs")
        return answer({"id": call_id, "recording": "paused" if action == "pause" else "recording"})

    def add_routes(app: web.Application) -> None:
        app.router.add_post("/api/calls/{id}/recording/{action:pause|resume}", handle)

    return add_routes
