"""The call log: lists, one call, and what people add to calls."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api import call_shapes as shapes
from dcx_ari.api.bodies import Body, body_as
from dcx_ari.api.context import answer, context, holder, query_of, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.shapes import NUMBER, TEXT, fields, nullable
from dcx_ari.services import call_notes, call_tags
from dcx_ari.services.call_conditions import yes_no
from dcx_ari.services.calls import CallPage, list_calls, show_call
from dcx_ari.services.listing import Query
from dcx_ari.services.uncompleted import list_uncompleted
from dcx_ari.services.views import with_view

Tag = int | str
_Tags = Annotated[list[Tag], Meta(min_length=1, max_length=100, description="Tags, by name or id")]


class NewTags(Body):
    tags: _Tags


class NewNote(Body):
    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


class CallChange(Body):
    outcome: Annotated[str | None, Meta(description="What came of it; null: nothing")] | UnsetType = UNSET


class Reason(Body):
    reason: str = ""


class Bulk(Body):
    """`ids`, or `filters` as of the list: `{"status": ["FAILED"], "date": ["2025-11-28"]}`."""

    tags: _Tags
    ids: Annotated[list[str], Meta(max_length=call_tags.MOST_AT_ONCE)] = msgspec.field(default_factory=list)
    filters: dict[str, list[str] | str] | None = None


def add_routes(app: web.Application) -> None:
    get = partial(Route, method="GET", permission="calls.view", tag="Calls")
    edit = partial(Route, permission="calls.edit", tag="Calls")
    one = "/api/calls/{id}"
    listing: dict[str, Any] = {"query": shapes.CALL_QUERY, "open_query": True, "refuses": (400,)}
    bulk: dict[str, Any] = {"body": Bulk, "answer": fields(matched=NUMBER, changed=NUMBER), "refuses": (400, 404)}
    groups: Any = {"type": "object", "additionalProperties": NUMBER}
    more = {"groups": groups}
    declare(
        app,
        [
            get(
                path="/api/calls", handler=_index, summary="List calls", answer=shapes.page_of(shapes.LISTED), **listing
            ),
            get(
                path="/api/calls/uncompleted",
                handler=_uncompleted,
                summary="Calls that came to nothing, why, and what can be done about them",
                answer=shapes.page_of(shapes.LISTED, **more),
                **listing,
            ),
            get(path=one, handler=_show, summary="Show a call, by its id or the beginning of it", answer=shapes.CALL),
            edit(
                method="PATCH",
                path=one,
                handler=_change,
                summary="Say what came of a call",
                body=CallChange,
                answer=fields(id=TEXT, outcome=nullable(TEXT)),
            ),
            edit(
                method="POST",
                path=f"{one}/tags",
                handler=_tag,
                summary="Put tags on a call",
                body=NewTags,
                answer=shapes.TAGS,
            ),
            edit(
                method="DELETE",
                path=f"{one}/tags/{{tag}}",
                handler=_untag,
                summary="Take a tag off",
                answer=shapes.TAGS,
            ),
            edit(
                method="POST",
                path=f"{one}/notes",
                handler=_note,
                summary="Write a note",
                body=NewNote,
                answer=shapes.NOTE,
                status=201,
            ),
            edit(method="POST", path="/api/calls/bulk-tag", handler=_bulk_tag, summary="Tag many calls", **bulk),
            edit(method="POST", path="/api/calls/bulk-untag", handler=_bulk_untag, summary="Untag many calls", **bulk),
            Route(
                method="POST",
                path=f"{one}/block",
                handler=_block,
                summary="Put the caller on the blacklist",
                permission="suppressions.write",
                tag="Calls",
                body=Reason,
                body_required=False,
                answer={"type": "object", "required": ["id", "phone_number"]},
                status=201,
                refuses=(409,),
            ),
            Route(
                method="POST",
                path=f"{one}/hold",
                handler=_hold,
                summary="Legal hold: nothing deletes the recordings",
                permission="settings.manage",
                tag="Calls",
                body=Reason,
                answer=shapes.HOLD,
                status=201,
                refuses=(409,),
            ),
            Route(
                method="DELETE",
                path=f"{one}/hold",
                handler=_release,
                summary="End a legal hold",
                permission="settings.manage",
                tag="Calls",
                status=204,
            ),
        ],
    )


def asked(request: web.Request) -> tuple[Query, bool]:
    """The query of a list of calls, and whether the matches are to be counted. Raises Invalid."""
    query = query_of(request, limit=50)
    count = query.filters.get("count", ["true"])
    filters = {name: values for name, values in query.filters.items() if name != "count"}
    descending = query.descending if "sort_order" in request.query else True
    return replace(query, filters=filters, descending=descending), yes_no("count", count)


def page_answer(page: CallPage, **more: Any) -> web.Response:
    shown = {"data": page.items, "next_cursor": page.next_cursor, "total": page.total, "total_exact": page.exact}
    return answer({**shown, **more})


async def _index(request: web.Request) -> web.Response:
    query, count = asked(request)
    async with context(request).database.read() as session:
        query = await with_view(session, "calls", query)
        return page_answer(await list_calls(session, query, count=count))


async def _uncompleted(request: web.Request) -> web.Response:
    query, count = asked(request)
    async with context(request).database.read() as session:
        page, groups = await list_uncompleted(session, query, count=count)
    return page_answer(page, groups=groups)


async def _show(request: web.Request) -> web.Response:
    """With its postback key for those who may change things: whoever has it can report what the call was worth."""
    async with context(request).database.read() as session:
        call = await show_call(session, request.match_info["id"])
    if not holder(request).writes:
        call.pop("postback_key", None)
    return answer(call)


async def _change(request: web.Request) -> web.Response:
    body = await body_as(request, CallChange)
    async with writing(request) as session:
        if body.outcome is not UNSET:
            await call_notes.set_outcome(session, request.match_info["id"], body.outcome)
        call = await show_call(session, request.match_info["id"])
    return answer({"id": call["id"], "outcome": call["outcome"]})


async def _tag(request: web.Request) -> web.Response:
    body = await body_as(request, NewTags)
    async with writing(request) as session:
        return answer({"data": await call_tags.tag_call(session, request.match_info["id"], body.tags)})


async def _untag(request: web.Request) -> web.Response:
    async with writing(request) as session:
        left = await call_tags.untag_call(session, request.match_info["id"], request.match_info["tag"])
    return answer({"data": left})


async def _note(request: web.Request) -> web.Response:
    body = await body_as(request, NewNote)
    async with writing(request) as session:
        return answer(await call_notes.add_note(session, request.match_info["id"], body.text), 201)


async def _bulk_tag(request: web.Request) -> web.Response:
    body = await body_as(request, Bulk)
    async with writing(request) as session:
        return answer(await call_tags.tag_calls(session, body.tags, ids=body.ids, query=_query(body)))


async def _bulk_untag(request: web.Request) -> web.Response:
    body = await body_as(request, Bulk)
    async with writing(request) as session:
        return answer(await call_tags.untag_calls(session, body.tags, ids=body.ids, query=_query(body)))


def _query(body: Bulk) -> Query | None:
    if body.filters is None:
        return None
    return Query({name: [values] if isinstance(values, str) else values for name, values in body.filters.items()})


async def _block(request: web.Request) -> web.Response:
    body = await body_as(request, Reason, optional=True)
    async with writing(request) as session:
        return answer(await call_notes.block_caller(session, request.match_info["id"], body.reason), 201)


async def _hold(request: web.Request) -> web.Response:
    body = await body_as(request, Reason)
    async with writing(request) as session:
        return answer(await call_notes.hold_call(session, request.match_info["id"], body.reason), 201)


async def _release(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await call_notes.release_call(session, request.match_info["id"])
    return web.Response(status=204)
