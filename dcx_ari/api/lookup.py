"""`GET /api/calls/lookup?phone=…`: who calls (A20)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.clock import now_ms
from dcx_ari.services.errors import Invalid
from dcx_ari.services.lookup import LookUp, look_up


class Caller(msgspec.Struct):
    phone: str
    name: str | None
    call_history_count: int
    last_call: str | None
    carrier: str | None
    is_mobile: bool | None
    is_blocked: bool | None


def routes(ask: LookUp | None) -> Callable[[web.Application], None]:
    """Adds the route to an application; `ask` is the look-up service, None: there is none."""

    async def handle(request: web.Request) -> web.Response:
        phone = request.query.get("phone", "")
        if not phone.strip():
            raise Invalid("phone", "is required")
        return answer(await look_up(context(request).database, phone, ask, now_ms()))

    def add_routes(app: web.Application) -> None:
        declare(
            app,
            [
                Route(
                    method="GET",
                    path="/api/calls/lookup",
                    handler=handle,
                    summary="Who calls: what is known of a number. What is not known is null",
                    permission="calls.view",
                    tag="Calls",
                    query={"phone": Param("E.164", required=True)},
                    answer=Caller,
                )
            ],
        )

    return add_routes
