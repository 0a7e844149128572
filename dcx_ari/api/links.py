"""`/api/campaigns/{key}/buyers` and `/api/buyer-groups/{key}/members`: what is attached, and who is in a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from dcx_ari.api import row_shapes
from dcx_ari.api.context import answer, body_object, context, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.rows import row_answer
from dcx_ari.services import links
from dcx_ari.services.resources import RESOURCES, Resource

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application) -> None:
    for name in links.LINKS:
        resource = RESOURCES[name]
        for path in (resource.path, *resource.aliases):
            declare(app, LinkHandlers(resource).routes(f"/api/{path}"))


@dataclass(frozen=True)
class LinkHandlers:
    """List, attach and detach what belongs to one kind of row."""

    resource: Resource

    def routes(self, base: str) -> list[Route]:
        owner, (link, column) = self.resource, links.LINKS[self.resource.name]
        members = "buyers" if owner.name == "campaigns" else "members"
        of, kind = f"{base}/{{key}}/{members}", link.replace("-", "_")
        body = dict(row_shapes.new_shape(link))
        left_out = (column, column.removesuffix("_id"))
        body["properties"] = {name: each for name, each in body["properties"].items() if name not in left_out}
        made = [
            Route(
                method="GET",
                path=of,
                handler=self.index,
                summary=f"What is attached to a {owner.singular}.",
                permission=f"{kind}.read",
                tag=owner.name,
                answer=row_shapes.page_shape(link),
            ),
            Route(
                method="POST",
                path=of,
                handler=self.attach,
                summary=f"Attach to a {owner.singular} (201), or change how (200).",
                permission=f"{kind}.write",
                tag=owner.name,
                body=body,
                answer=row_shapes.row_shape(link),
                status=201,
                also=(200,),
                refuses=(409,),
            ),
        ]
        detached = [(of, "buyer")] + ([(f"{base}/{{key}}/groups", "group")] if owner.name == "campaigns" else [])
        for path, what in detached:
            made.append(
                Route(
                    method="DELETE",
                    path=f"{path}/{{member}}",
                    handler=self._detach(what),
                    summary=f"Detach a {what} from a {owner.singular}.",
                    permission=f"{kind}.write",
                    tag=owner.name,
                    status=204,
                    refuses=(409,),
                )
            )
        return made

    async def index(self, request: web.Request) -> web.Response:
        async with context(request).database.read() as session:
            found = await links.links(session, self.resource.name, request.match_info["key"])
        return answer({"data": found, "next_cursor": None, "total": len(found)})

    async def attach(self, request: web.Request) -> web.Response:
        data = await body_object(request)
        key = request.match_info["key"]
        async with writing(request) as session:
            row = await links.attach(session, self.resource.name, key, data, strict=True)
        return row_answer(row, 201 if row["version"] == 1 else 200)

    def _detach(self, what: str) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            key, member = request.match_info["key"], request.match_info["member"]
            async with writing(request) as session:
                await links.detach(session, self.resource.name, key, {what: member})
            return web.Response(status=204)

        return handle
