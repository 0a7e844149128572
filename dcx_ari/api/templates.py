"""What new buyers and numbers can begin with: `/api/buyer-templates`, `/api/number-templates`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Handler, Route, declare
from dcx_ari.api.shapes import TEXT, YES_NO, fields, list_of
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.templates import TEMPLATED, find_template, templates

_TEMPLATE = fields(name=TEXT, kind=TEXT, title=TEXT, help=TEXT, own=YES_NO, values={"type": "object"})


def add_routes(app: web.Application) -> None:
    for kind in TEMPLATED:
        resource = RESOURCES[kind]
        base = f"/api/{resource.singular}-templates"
        declare(
            app,
            [
                Route(
                    method="GET",
                    path=base,
                    handler=_index(resource),
                    summary=f"Templates of {kind}: name one as `template` when you add a {resource.singular}.",
                    permission=f"{kind}.read",
                    tag=kind,
                    answer=list_of(_TEMPLATE),
                ),
                Route(
                    method="GET",
                    path=f"{base}/{{name}}",
                    handler=_show(resource),
                    summary=f"A template of {kind}, by its name or title.",
                    permission=f"{kind}.read",
                    tag=kind,
                    answer=_TEMPLATE,
                ),
            ],
        )


def _index(resource: Resource) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(templates, resource, context(request).home)
        return answer({"data": [each.as_json() for each in found], "next_cursor": None, "total": len(found)})

    return handle


def _show(resource: Resource) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = await asyncio.to_thread(find_template, resource, name, context(request).home)
        return answer(found.as_json())

    return handle
