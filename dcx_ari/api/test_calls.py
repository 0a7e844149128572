"""Trying a number: `POST /api/numbers/{key}/test-call`, a Decision only (`dry_run`) or a real call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import audit
from dcx_ari.services.test_call import Answered, NotPlaced, Question, Trial, number_of, read_body, stored

Place = Callable[[Trial], Awaitable[str]]
"""Places a real call through the engine; the call's id. Raises NotPlaced."""

_TEXT = {"type": "string"}
BODY = {
    "type": "object",
    "properties": {
        "dry_run": {"type": "boolean"},
        "from": _TEXT,
        "digits": _TEXT,
        "seconds": {"type": "integer"},
        "at": _TEXT,
        "tags": {"type": "object"},
        "campaign": {"type": ["integer", "string", "null"]},
    },
    "additionalProperties": False,
}

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
        async with writing(request) as session:
            await audit.record(session, "test_call.placed", "call", call_id, None, {"number": number})
        return answer({"id": call_id, "number": number}, 201, {"Location": f"/api/calls/{call_id}"})

    def add_routes(app: web.Application) -> None:
        declare(
            app,
            [
                Route(
                    method="POST",
                    path=f"/api/{kind}/{{key}}/test-call",
                    handler=handle,
                    summary="Try a number: a real call, or with dry_run the decision only (answered with 200)",
                    permission="calls.place",
                    tag="Calls",
                    body=BODY,
                    body_required=False,
                    answer={"type": "object"},
                    status=201,
                    refuses=(200, 503),
                )
                for kind in ("numbers", "phone-numbers")
            ],
        )

    return add_routes
