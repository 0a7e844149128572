"""Why a call went where it went."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.services.explain import explain, kept


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/calls/{id}/explain", _explain)


async def _explain(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(explain(await kept(session, request.match_info["id"])))
