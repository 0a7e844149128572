"""Saved views: everybody's own, and those that are shared."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, holder, writing
from dcx_ari.api.preconditions import if_match
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of
from dcx_ari.services import views
from dcx_ari.services.errors import Forbidden
from dcx_ari.services.permissions import SELF

_TEXTS = {"type": "array", "items": {"type": "string"}}
_VIEW = fields(
    id=NUMBER,
    resource=TEXT,
    name=TEXT,
    filters={"type": "object", "additionalProperties": _TEXTS},
    search=TEXT,
    sort_by=TEXT,
    sort_desc=YES_NO,
    visible_columns=_TEXTS,
    column_order=_TEXTS,
    shared=YES_NO,
    mine=YES_NO,
    version=NUMBER,
    created_at=MOMENT,
    updated_at=MOMENT,
)
_CHANGES = {**views.ViewFields.model_json_schema(), "required": [], "additionalProperties": False}
_OF = {"resource": Param("Kind of row, such as campaigns: needed where a view is named and not given by id.")}


def add_routes(app: web.Application) -> None:
    base, one = "/api/saved-views", "/api/saved-views/{key}"
    declare(
        app,
        [
            Route(
                method="GET",
                path=base,
                handler=_index,
                summary="One's own saved views and the shared ones.",
                permission=SELF,
                tag="saved views",
                query={"resource": Param("Of one kind of row.")},
                answer=list_of(_VIEW),
            ),
            Route(
                method="POST",
                path=base,
                handler=_create,
                summary="Save a view: use it as ?view=NAME on its list. Sharing it takes settings.manage.",
                permission=SELF,
                tag="saved views",
                body={**_CHANGES, "required": ["resource", "name"]},
                answer=_VIEW,
                status=201,
                refuses=(409,),
            ),
            Route(
                method="GET",
                path=one,
                handler=_show,
                summary="One saved view.",
                permission=SELF,
                tag="saved views",
                query=_OF,
                answer=_VIEW,
            ),
            Route(
                method="PATCH",
                path=one,
                handler=_change,
                summary="Change a saved view of one's own.",
                permission=SELF,
                tag="saved views",
                query=_OF,
                body=_CHANGES,
                answer=_VIEW,
                refuses=(409, 412),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=_remove,
                summary="Remove a saved view of one's own.",
                permission=SELF,
                tag="saved views",
                query=_OF,
                status=204,
                refuses=(409,),
            ),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await views.list_views(session, request.query.get("resource", ""))
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create(request: web.Request) -> web.Response:
    data = await body_object(request)
    _may_share(request, data.get("shared"))
    async with writing(request) as session:
        row = await views.create_view(session, data, strict=True)
    location = {"Location": f"/api/saved-views/{row['id']}", "ETag": f'"{row["version"]}"'}
    return answer(row, 201, location)


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        row = await views.get_view(session, request.match_info["key"], request.query.get("resource", ""))
    return answer(row, headers={"ETag": f'"{row["version"]}"'})


async def _change(request: web.Request) -> web.Response:
    data = await body_object(request)
    _may_share(request, data.get("shared"))
    async with writing(request) as session:
        row = await views.change_view(
            session,
            request.match_info["key"],
            data,
            resource=request.query.get("resource", ""),
            strict=True,
            version=if_match(request),
            manager=holder(request).may("settings.manage"),
        )
    return answer(row, headers={"ETag": f'"{row["version"]}"'})


async def _remove(request: web.Request) -> web.Response:
    async with writing(request) as session:
        manager = holder(request).may("settings.manage")
        key, resource = request.match_info["key"], request.query.get("resource", "")
        await views.remove_view(session, key, resource=resource, manager=manager)
    return web.Response(status=204)


def _may_share(request: web.Request, shared: object) -> None:
    if shared is True and not holder(request).may("settings.manage"):
        raise Forbidden("shared", "takes the permission settings.manage")
