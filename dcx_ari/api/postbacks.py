"""`POST /api/postbacks/{call_key}`: no API key, but a signature (see `services.postbacks`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from dcx_ari.api.context import answer
from dcx_ari.services.postbacks import Answer, PostbackRefused

PUBLIC = "/api/postbacks/"
HEADER = "X-DCX-Signature"

Receive = Callable[[str, str, bytes], Awaitable[Answer]]
"""Books what (call key, signature, body) say. Raises PostbackRefused."""


def routes(receive: Receive) -> Callable[[web.Application], None]:
    """Adds the route to an application."""

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            done = await receive(request.match_info["call_key"], request.headers.get(HEADER, ""), body)
        except PostbackRefused as error:
            return answer(error.as_json(), error.status)
        return answer(done.as_json())

    def add_routes(app: web.Application) -> None:
        app.router.add_post(f"{PUBLIC}{{call_key}}", handle)

    return add_routes
