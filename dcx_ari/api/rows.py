"""Routes for every kind of row, made from the table of resources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from dcx_ari.api import row_shapes
from dcx_ari.api.context import answer, body_object, context, page_answer, query_of, writing
from dcx_ari.api.preconditions import if_match
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import bulk, rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import list_rows
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.templates import with_template
from dcx_ari.services.views import with_view

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MAX_VERSION = 2**31


def add_routes(app: web.Application) -> None:
    for resource in RESOURCES.values():
        handlers = RowHandlers(resource)
        for path in (resource.path, *resource.aliases):
            declare(app, handlers.routes(f"/api/{path}"))


@dataclass(frozen=True)
class RowHandlers:
    """List, make, show, change, remove, copy, pause and resume one kind of row; many of them at once."""

    resource: Resource

    def routes(self, base: str) -> list[Route]:
        one, name, singular = f"{base}/{{key}}", self.resource.name, self.resource.singular
        row, new, changes = row_shapes.row_shape(name), row_shapes.new_shape(name), row_shapes.changes_shape(name)
        listing: dict[str, Any] = {"query": row_shapes.list_query(self.resource), "open_query": True, "refuses": (400,)}
        change = f"Change fields of a {singular}; with If-Match or `version` only as it was read."
        made = [
            self._read(base, self.index, f"List {name}.", answer=row_shapes.page_shape(name), **listing),
            self._read(one, self.show, f"Show a {singular}, by id, short id or key.", answer=row),
            self._write("POST", base, self.create, f"Add a {singular}.", body=new, answer=row, status=201),
            self._write("PATCH", one, self.change, change, body=changes, answer=row, refuses=(409, 412)),
            self._write("DELETE", one, self.remove, f"Remove a {singular}.", status=204, refuses=(409, 412)),
            self._bulk(f"{base}/bulk-update"),
        ]
        optional: dict[str, Any] = {"body_required": False, "answer": row}
        if self.resource.key == "name":
            copy = f"Copy a {singular}: inactive, under a new name, with what is attached."
            made.append(self._write("POST", f"{one}/copy", self.copy, copy, body=changes, status=201, **optional))
        if self.resource.pausable:
            reason = {"body": row_shapes.REASON, **optional}
            for verb, paused in (("pause", True), ("resume", False)):
                text = f"{verb.capitalize()} a {singular}."
                made.append(self._write("POST", f"{one}/{verb}", self._paused(paused), text, **reason))
        return made

    def _read(self, path: str, handler: _Handler, summary: str, **more: Any) -> Route:
        named: dict[str, Any] = {"permission": f"{self._kind}.read", "tag": self.resource.name}
        return Route(method="GET", path=path, handler=handler, summary=summary, **named, **more)

    def _write(self, method: str, path: str, handler: _Handler, summary: str, **more: Any) -> Route:
        named = {"permission": f"{self._kind}.write", "tag": self.resource.name, "refuses": (409,), **more}
        return Route(method=method, path=path, handler=handler, summary=summary, **named)

    def _bulk(self, path: str) -> Route:
        actions = ", ".join(bulk.actions_of(self.resource)).capitalize()
        shapes = {"body": row_shapes.order_shape(self.resource), "answer": row_shapes.RESULTS}
        return self._write("POST", path, self.bulk_update, f"{actions} many {self.resource.name} at once.", **shapes)

    @property
    def _kind(self) -> str:
        return self.resource.name.replace("-", "_")

    async def index(self, request: web.Request) -> web.Response:
        query = query_of(request)
        async with context(request).database.read() as session:
            query = await with_view(session, self.resource.name, query)
            return page_answer(await list_rows(session, self.resource, query))

    async def create(self, request: web.Request) -> web.Response:
        data = with_template(self.resource, await body_object(request), context(request).home)
        async with writing(request) as session:
            row = await rows.create(session, self.resource, data, strict=True)
        return row_answer(row, 201, {"Location": f"/api/{self.resource.path}/{row['id']}"})

    async def show(self, request: web.Request) -> web.Response:
        async with context(request).database.read() as session:
            return row_answer(await rows.get(session, self.resource, request.match_info["key"]))

    async def change(self, request: web.Request) -> web.Response:
        data = await body_object(request)
        key, version = request.match_info["key"], _expected(request, data)
        async with writing(request) as session:
            row = await rows.change(session, self.resource, key, data, strict=True, version=version)
        return row_answer(row)

    async def remove(self, request: web.Request) -> web.Response:
        version = if_match(request)
        async with writing(request) as session:
            await rows.remove(session, self.resource, request.match_info["key"], version=version)
        return web.Response(status=204)

    async def copy(self, request: web.Request) -> web.Response:
        data = await body_object(request, optional=True)
        data.pop("version", None)
        async with writing(request) as session:
            row = await rows.copy(session, self.resource, request.match_info["key"], data)
        return row_answer(row, 201, {"Location": f"/api/{self.resource.path}/{row['id']}"})

    async def bulk_update(self, request: web.Request) -> web.Response:
        order = bulk.read_order(self.resource, await body_object(request))
        async with writing(request) as session:
            return answer(await bulk.in_session(session, self.resource, order))

    def _paused(self, paused: bool) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            reason = _reason(await body_object(request, optional=True))
            key = request.match_info["key"]
            async with writing(request) as session:
                return row_answer(await rows.set_paused(session, self.resource, key, paused, reason=reason))

        return handle


def row_answer(row: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return answer(row, status, {"ETag": f'"{row["version"]}"', **(headers or {})})


def _reason(data: dict[str, Any]) -> str | None:
    if unknown := sorted(set(data) - {"reason"}):
        raise Invalid(unknown[0], "is not known here")
    reason = data.get("reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > bulk.LONGEST_REASON):
        raise Invalid("reason", f"must be text of at most {bulk.LONGEST_REASON} characters")
    return reason


def _expected(request: web.Request, data: dict[str, Any]) -> int | None:
    """The version that the asker has read: from If-Match, or as `version` in the body."""
    header = if_match(request)
    version = data.pop("version", None)
    if version is None:
        return header
    if type(version) is not int or not 0 < version < _MAX_VERSION:
        raise Invalid("version", "must be the version of the row, such as 3")
    if header is not None and header != version:
        raise Invalid("version", f"is {version}, but If-Match says {header}")
    return version
