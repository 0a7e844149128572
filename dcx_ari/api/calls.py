"""The call log."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, context, holder, page_answer, query_of
from dcx_ari.services.calls import list_calls, show_call


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/calls", _index)
    app.router.add_get("/api/calls/{id}", _show)


async def _index(request: web.Request) -> web.Response:
    query = query_of(request, limit=50)
    async with context(request).database.read() as session:
        return page_answer(await list_calls(session, query))


async def _show(request: web.Request) -> web.Response:
    """With its postback key for those who may change things: whoever has it can report what the call was worth."""
    async with context(request).database.read() as session:
        call = await show_call(session, request.match_info["id"])
    if not holder(request).writes:
        call.pop("postback_key")
    return answer(call)
