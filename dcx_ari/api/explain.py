"""Why a call went where it went."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Route, declare
from dcx_ari.services.explain import explain, kept


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/calls/{id}/explain",
                handler=_explain,
                summary="Why a call went where it went",
                permission="calls.explain",
                tag="Calls",
                answer={"type": "object"},
                refuses=(409,),
            )
        ],
    )


async def _explain(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(explain(await kept(session, request.match_info["id"])))
