"""The life of flows beside their rows: check, publish, go back, versions, what changed, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, writing
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.services import flow_pictures, flow_versions
from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Invalid

_NO_MORE = {"additionalProperties": False}
_PROBLEM = fields(
    line=nullable(NUMBER),
    column=nullable(NUMBER),
    level=TEXT,
    code=TEXT,
    path={"type": "array"},
    message=TEXT,
    hint=TEXT,
)
_VERSION = {
    "flow": TEXT,
    "flow_id": NUMBER,
    "number": NUMBER,
    "active": YES_NO,
    "note": TEXT,
    "published_at": MOMENT,
    "published_by": TEXT,
}
_PUBLISHED = fields(**_VERSION, warnings={"type": "array", "items": _PROBLEM})
_SIDE = Param("A version's number, or draft.")
_ONE = "/api/flows/{key}"


def add_routes(app: web.Application) -> None:
    change: dict[str, Any] = {"permission": "flows.write", "tag": "flows", "answer": _PUBLISHED, "body_required": False}
    look: dict[str, Any] = {"permission": "flows.read", "tag": "flows"}
    source = {"source": nullable(TEXT), "note": TEXT}
    back = {"to": nullable(NUMBER), "note": TEXT}
    text_or_data = {"source": TEXT, "document": {"type": "object"}}
    declare(
        app,
        [
            Route(
                method="POST",
                path="/api/flows/check",
                handler=check,
                summary="What is wrong with a flow document: its text as `source`, or `document`.",
                body={**fields(("source", "document"), **text_or_data), **_NO_MORE},
                answer=fields(problems={"type": "array", "items": _PROBLEM}, errors=NUMBER),
                **look,
            ),
            Route(
                method="POST",
                path=f"{_ONE}/publish",
                handler=publish,
                summary="Make the draft, or the text `source`, the version that calls run; 422 names every problem.",
                body={**fields(("source", "note"), **source), **_NO_MORE},
                **change,
            ),
            Route(
                method="POST",
                path=f"{_ONE}/rollback",
                handler=roll_back,
                summary="Publish an earlier version once more: `to`, else the one before the newest.",
                body={**fields(("to", "note"), **back), **_NO_MORE},
                refuses=(409,),
                **change,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/versions",
                handler=index,
                summary="Versions of a flow, newest first.",
                answer=list_of(fields(**_VERSION)),
                **look,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/versions/{{number}}",
                handler=show,
                summary="A version with its document and its text.",
                answer=fields(**_VERSION, document={"type": "object"}, source=TEXT),
                **look,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/diff",
                handler=diff,
                summary="What has changed, as a unified diff: from what calls run to the draft, or as asked.",
                query={"from": _SIDE, "to": _SIDE},
                answer=fields(diff=TEXT),
                **look,
            ),
            Route(
                method="GET",
                path=f"{_ONE}/drawing.svg",
                handler=drawing,
                summary="A picture of the flow; with `from` (and `to`) the callers who went each way.",
                query={"version": _SIDE, "from": Param("First day or time counted."), "to": Param("Last day, or end.")},
                media="image/svg+xml",
                answer=TEXT,
                refuses=(409,),
                **look,
            ),
        ],
    )


async def check(request: web.Request) -> web.Response:
    body = await body_object(request)
    _known(body, "source", "document")
    if ("source" in body) == ("document" in body):
        raise Invalid("source", "give the text as source, or a document")
    source = body.get("source")
    if "source" in body and not isinstance(source, str):
        raise Invalid("source", "must be text")
    async with context(request).database.read() as session:
        if source is not None:
            found = await flow_versions.check(session, source)
        else:
            found = await flow_versions.check_data(session, body["document"])
    return answer({"problems": found, "errors": sum(each["level"] == "error" for each in found)})


async def publish(request: web.Request) -> web.Response:
    body = await body_object(request, optional=True)
    _known(body, "source", "note")
    source = body.get("source")
    if source is not None and not isinstance(source, str):
        raise Invalid("source", "must be text")
    async with writing(request) as session:
        made = await flow_versions.publish(session, request.match_info["key"], source=source, note=_note(body))
    return answer(made.as_json())


async def roll_back(request: web.Request) -> web.Response:
    body = await body_object(request, optional=True)
    _known(body, "to", "note")
    to = body.get("to")
    if to is not None and type(to) is not int:
        raise Invalid("to", "must be the number of a version, such as 3")
    async with writing(request) as session:
        number = None if to is None else flow_versions.number_of(to, "to")
        made = await flow_versions.roll_back(session, request.match_info["key"], number, note=_note(body))
    return answer(made.as_json())


async def index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await flow_versions.versions(session, request.match_info["key"])
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def show(request: web.Request) -> web.Response:
    number = flow_versions.number_of(request.match_info["number"], "number")
    async with context(request).database.read() as session:
        return answer(await flow_versions.show(session, request.match_info["key"], number))


async def diff(request: web.Request) -> web.Response:
    old, new = (_side(request, name) for name in ("from", "to"))
    async with context(request).database.read() as session:
        return answer({"diff": await flow_versions.diff(session, request.match_info["key"], old, new)})


async def drawing(request: web.Request) -> web.Response:
    key, version, zone = request.match_info["key"], _side(request, "version"), context(request).zone
    since, until = request.query.get("from"), request.query.get("to")
    async with context(request).database.read() as session:
        shown = await flow_versions.drawable(session, key, version)
        counts = None
        if since:
            last = instant_of("to", until or since, zone, end=True)
            counts = await flow_pictures.counts_of(session, key, instant_of("from", since, zone), last)
        elif until:
            raise Invalid("to", "goes with from")
    document = flow_pictures.document_of(shown["document"])
    picture = await flow_pictures.drawn(document, counts, shown["flow"])
    closed = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return web.Response(text=picture, content_type="image/svg+xml", headers=closed)


def _known(body: Mapping[str, Any], *names: str) -> None:
    for name in body:
        if name not in names:
            raise Invalid(name, "is not known here")


def _note(body: Mapping[str, Any]) -> str:
    note = body.get("note", "")
    if not isinstance(note, str):
        raise Invalid("note", "must be text")
    return note


def _side(request: web.Request, name: str) -> int | str | None:
    text = request.query.get(name)
    return None if text is None else flow_versions.side_of(text, name)
