"""`POST /api/postbacks/{call_key}`: no API key, but a signature (see `services.postbacks`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer
from dcx_ari.api.routes import Route, declare
from dcx_ari.services.postbacks import Answer, PostbackRefused

PUBLIC = "/api/postbacks/"
HEADER = "X-DCX-Signature"

Receive = Callable[[str, str, bytes], Awaitable[Answer]]
"""Books what (call key, signature, body) say. Raises PostbackRefused."""


class Booked(msgspec.Struct):
    """What the report did, and the call's revenue after it."""

    status: str
    call_id: str
    revenue_cents: int
    late: bool
    over_cap: bool


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
        declare(
            app,
            [
                Route(
                    method="POST",
                    path=f"{PUBLIC}{{call_key}}",
                    handler=handle,
                    summary="A buyer reports what a call was worth; the body is signed",
                    permission=None,
                    tag="Postbacks",
                    body={"type": "object"},
                    answer=Booked,
                    refuses=(401, 404, 409),
                )
            ],
        )

    return add_routes
