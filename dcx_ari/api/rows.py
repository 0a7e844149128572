"""Routes for every kind of row, made from the table of resources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, page_answer, query_of
from dcx_ari.services import links, rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import list_rows
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.views import with_view

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application) -> None:
    for resource in RESOURCES.values():
        handlers = RowHandlers(resource)
        for path in (resource.path, *resource.aliases):
            app.router.add_routes(handlers.routes(f"/api/{path}"))
            if resource.name in links.LINKS:
                app.router.add_routes(LinkHandlers(resource).routes(f"/api/{path}"))


@dataclass(frozen=True)
class RowHandlers:
    """List, make, show, change, remove, copy, pause and resume one kind of row."""

    resource: Resource

    def routes(self, base: str) -> list[web.RouteDef]:
        one = f"{base}/{{key}}"
        made = [
            web.get(base, self.index),
            web.post(base, self.create),
            web.get(one, self.show),
            web.patch(one, self.change),
            web.delete(one, self.remove),
        ]
        if self.resource.key == "name":
            made.append(web.post(f"{one}/copy", self.copy))
        if self.resource.pausable:
            made.append(web.post(f"{one}/pause", self._paused(True)))
            made.append(web.post(f"{one}/resume", self._paused(False)))
        return made

    async def index(self, request: web.Request) -> web.Response:
        query = query_of(request)
        async with context(request).database.read() as session:
            query = await with_view(session, self.resource.name, query)
            return page_answer(await list_rows(session, self.resource, query))

    async def create(self, request: web.Request) -> web.Response:
        data = await body_object(request)
        async with context(request).database.write() as session:
            row = await rows.create(session, self.resource, data, strict=True)
        return _row_answer(row, 201, {"Location": f"/api/{self.resource.path}/{row['id']}"})

    async def show(self, request: web.Request) -> web.Response:
        async with context(request).database.read() as session:
            return _row_answer(await rows.get(session, self.resource, request.match_info["key"]))

    async def change(self, request: web.Request) -> web.Response:
        data = await body_object(request)
        key, version = request.match_info["key"], _if_match(request)
        async with context(request).database.write() as session:
            row = await rows.change(session, self.resource, key, data, strict=True, version=version)
        return _row_answer(row)

    async def remove(self, request: web.Request) -> web.Response:
        async with context(request).database.write() as session:
            await rows.remove(session, self.resource, request.match_info["key"])
        return web.Response(status=204)

    async def copy(self, request: web.Request) -> web.Response:
        data = await body_object(request, optional=True)
        async with context(request).database.write() as session:
            row = await rows.copy(session, self.resource, request.match_info["key"], data)
        return _row_answer(row, 201)

    def _paused(self, paused: bool) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            key = request.match_info["key"]
            async with context(request).database.write() as session:
                return _row_answer(await rows.set_paused(session, self.resource, key, paused))

        return handle


@dataclass(frozen=True)
class LinkHandlers:
    """`/api/campaigns/{key}/buyers` and `/api/buyer-groups/{key}/members`."""

    resource: Resource

    def routes(self, base: str) -> list[web.RouteDef]:
        name = self.resource.name
        of = f"{base}/{{key}}/{'buyers' if name == 'campaigns' else 'members'}"
        made = [
            web.get(of, self.index),
            web.post(of, self.attach),
            web.delete(f"{of}/{{member}}", self._detach("buyer")),
        ]
        if name == "campaigns":
            made.append(web.delete(f"{base}/{{key}}/groups/{{member}}", self._detach("group")))
        return made

    async def index(self, request: web.Request) -> web.Response:
        async with context(request).database.read() as session:
            found = await links.links(session, self.resource.name, request.match_info["key"])
        return answer({"data": found, "next_cursor": None, "total": len(found)})

    async def attach(self, request: web.Request) -> web.Response:
        data = await body_object(request)
        key = request.match_info["key"]
        async with context(request).database.write() as session:
            row = await links.attach(session, self.resource.name, key, data, strict=True)
        return _row_answer(row, 201 if row["version"] == 1 else 200)

    def _detach(self, what: str) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            key, member = request.match_info["key"], request.match_info["member"]
            async with context(request).database.write() as session:
                await links.detach(session, self.resource.name, key, {what: member})
            return web.Response(status=204)

        return handle


def _row_answer(row: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return answer(row, status, {"ETag": f'"{row["version"]}"', **(headers or {})})


def _if_match(request: web.Request) -> int | None:
    """The version that the asker has read, from `If-Match: "3"`. `*` and no header mean any."""
    given = request.headers.get("If-Match", "*").strip()
    if given == "*":
        return None
    text = given.removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid("If-Match", 'must be the ETag of the row, such as "3"')
    return int(text)
