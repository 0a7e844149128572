"""Pausing the recording of a live call, whichever worker has it: `POST /api/calls/{id}/recording/pause`, `…/resume`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import audit
from dcx_ari.services.errors import NotFound

Pause = Callable[[str, bool], Awaitable[bool]]
"""(call id, paused) -> whether a recording of that call runs. Raises Unavailable where that cannot be found out."""


class Recording(msgspec.Struct):
    """`recording`: paused or recording."""

    id: str
    recording: str


def routes(pause: Pause) -> Callable[[web.Application], None]:
    """Adds the routes to an application."""

    async def change(request: web.Request, *, paused: bool) -> web.Response:
        call_id = request.match_info["id"]
        if not await pause(call_id, paused):
            raise NotFound("recording", f"no recording of call {call_id!r} runs")
        async with writing(request) as session:
            action = "recording.paused" if paused else "recording.resumed"
            await audit.record(session, action, "call", call_id)
        return answer({"id": call_id, "recording": "paused" if paused else "recording"})

    def add_routes(app: web.Application) -> None:
        declare(
            app,
            [
                Route(
                    method="POST",
                    path=f"/api/calls/{{id}}/recording/{verb}",
                    handler=partial(change, paused=verb == "pause"),
                    summary=f"{verb.capitalize()} the recording of a live call",
                    permission="calls.edit",
                    tag="Calls",
                    answer=Recording,
                    refuses=(503,),
                )
                for verb in ("pause", "resume")
            ],
        )

    return add_routes
