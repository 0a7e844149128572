"""A contact's calls."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.calls import asked, page_answer
from dcx_ari.api.context import context
from dcx_ari.api.routes import Route, declare
from dcx_ari.services.contacts import calls_of


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/contacts/{key}/calls",
                handler=_calls,
                summary="The calls from a contact's number; takes the filters of the call log.",
                permission="calls.view",
                tag="contacts",
                open_query=True,
                answer={"type": "object", "required": ["data", "next_cursor", "total", "total_exact"]},
            ),
        ],
    )


async def _calls(request: web.Request) -> web.Response:
    query, count = asked(request)
    async with context(request).database.read() as session:
        return page_answer(await calls_of(session, request.match_info["key"], query, count=count))
