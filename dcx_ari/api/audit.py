"""The audit log (A28.5), for whoever may see it."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from dcx_ari.api.context import context, page_answer, query_of
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.services.audit_log import FILTERS, list_entries
from dcx_ari.services.errors import UnknownKey


class Actor(msgspec.Struct):
    kind: str
    id: str | None
    name: str


class Changes(msgspec.Struct):
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Entry(msgspec.Struct):
    id: int
    created_at: str
    user_id: int | None
    actor: Actor
    action: str
    resource_type: str
    resource_id: str | None
    changes: Changes
    ip_address: str | None
    reason: str | None
    hash: str


class Entries(msgspec.Struct):
    data: list[Entry]
    next_cursor: str | None
    total: int


def add_routes(app: web.Application) -> None:
    paging = {
        "limit": Param("Most entries, up to 1000", {"type": "integer", "minimum": 1, "maximum": 1000}),
        "cursor": Param("Where the next page begins, from next_cursor"),
    }
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/audit-logs",
                handler=_index,
                summary="Who changed what, newest first",
                permission="audit.view",
                tag="Audit",
                query={**{name: Param(text) for name, text in FILTERS.items()}, **paging},
                answer=Entries,
            )
        ],
    )


async def _index(request: web.Request) -> web.Response:
    query = query_of(request)
    if query.search or query.sort_by != "id" or query.descending:
        raise UnknownKey("sort_by" if not query.search else "q", "is not known here: the newest come first")
    async with context(request).database.read() as session:
        return page_answer(await list_entries(session, query))
