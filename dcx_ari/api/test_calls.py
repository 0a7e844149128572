"""Trying a number: `POST /api/numbers/{key}/test-call`, a Decision only (`dry_run`) or a real call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer, body_object, context
from dcx_ari.services.test_call import Answered, NotPlaced, Question, Trial, number_of, read_body, stored

Place = Callable[[Trial], Awaitable[str]]
"""Places a real call through the engine; the call's id. Raises NotPlaced."""

Decide = Callable[[Question], Awaitable[Answered]]


def routes(place: Place, decide: Decide, company_zone: str) -> Callable[[web.Application], None]:
    """Adds the route to an application."""

    async def handle(request: web.Request) -> web.Response:
        body = await body_object(request, optional=True)
        number = await number_of(context(request).database, request.match_info["key"])
        asked = read_body(number, body, company_zone)
        if isinstance(asked, Question):
            found = await decide(asked)
            return answer({**found.told, "stored": msgspec.Raw(stored(found.decision).encode())})
        try:
            call_id = await place(asked)
        except NotPlaced as error:
            return answer({"error": {"field": "asterisk", "rule": str(error), "message": f"asterisk: {error}"}}, 503)
        return answer({"id": call_id, "number": number}, 201, {"Location": f"/api/calls/{call_id}"})

    def add_routes(app: web.Application) -> None:
        app.router.add_post("/api/numbers/{key}/test-call", handle)

    return add_routes
