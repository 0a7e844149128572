"""Callbacks: `/api/calls/callbacks`, and the two ways in which a call becomes one."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.call_shapes import CALLBACK, PAGING
from dcx_ari.api.context import answer, context, page_answer, query_of, writing
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import list_of
from dcx_ari.clock import now_ms
from dcx_ari.services import callbacks
from dcx_ari.services.callback_list import FILTERS, list_callbacks
from dcx_ari.services.errors import UnknownKey

Priority = Literal["low", "normal", "high", "urgent"]
Due = Annotated[str, Meta(description="RFC 3339, or a time on the company's clock such as 2026-01-31T09:00")]


class NewCallback(Body):
    """`phone_number`, or `call`: then of its caller."""

    due_at: Due
    phone_number: str | UnsetType = UNSET
    call: str | UnsetType = UNSET
    campaign: int | str | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET


class OfCall(Body):
    due_at: Due
    priority: Priority | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET


class Change(Body):
    due_at: Due | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET


class Done(Body):
    outcome: Annotated[str, Meta(min_length=1, max_length=255, description="What came of it")]
    notes: str = ""


class To(Body):
    assigned_to: Annotated[str, Meta(max_length=255, description="Who is to call; null: nobody")] | None


def add_routes(app: web.Application) -> None:
    edit = partial(Route, permission="calls.edit", tag="Callbacks", answer=CALLBACK)
    base, one = "/api/calls/callbacks", "/api/calls/callbacks/{callback}"
    made: dict[str, Any] = {"status": 201, "refuses": (404, 409)}
    moved: dict[str, Any] = {"method": "PATCH", "refuses": (409,)}
    declare(
        app,
        [
            Route(
                method="GET",
                path=base,
                handler=_index,
                summary="List callbacks, what is due first comes first",
                permission="calls.edit",
                tag="Callbacks",
                query={**{name: Param(text) for name, text in FILTERS.items()}, **PAGING},
                answer=list_of(CALLBACK),
                refuses=(400, 404),
            ),
            edit(method="POST", path=base, handler=_add, summary="Ask for a callback", body=NewCallback, **made),
            edit(method="GET", path=one, handler=_show, summary="Show a callback"),
            edit(path=one, handler=_change, summary="Change a callback", body=Change, **moved),
            edit(
                path=f"{one}/complete", handler=_complete, summary="It is done, and what came of it", body=Done, **moved
            ),
            edit(path=f"{one}/assign", handler=_assign, summary="Give it to somebody", body=To, **moved),
            edit(path=f"{one}/begin", handler=_begin, summary="Somebody calls now", **moved),
            edit(path=f"{one}/cancel", handler=_cancel, summary="Nobody needs to call any more", **moved),
            edit(
                method="POST",
                path="/api/calls/{id}/callback",
                handler=_of_call,
                summary="Ask for a callback of this call's caller",
                body=OfCall,
                **made,
            ),
            Route(
                method="POST",
                path="/api/calls/{id}/retry",
                handler=_retry,
                summary="Try a call again: an urgent callback that is due at once",
                permission="calls.place",
                tag="Callbacks",
                answer=CALLBACK,
                **made,
            ),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    query = query_of(request)
    if query.search or query.sort_by != "id" or query.descending:
        raise UnknownKey("q" if query.search else "sort_by", "is not known here: what is due first comes first")
    async with context(request).database.read() as session:
        return page_answer(await list_callbacks(session, query, now_ms()))


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await callbacks.show_callback(session, request.match_info["callback"], now_ms()))


async def _add(request: web.Request) -> web.Response:
    body = given(await body_as(request, NewCallback))
    async with writing(request) as session:
        return answer(await callbacks.add_callback(session, body, now_ms(), strict=True), 201)


async def _of_call(request: web.Request) -> web.Response:
    body = given(await body_as(request, OfCall))
    async with writing(request) as session:
        values = {**body, "call": request.match_info["id"]}
        return answer(await callbacks.add_callback(session, values, now_ms(), strict=True), 201)


async def _retry(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await callbacks.retry_call(session, request.match_info["id"], now_ms()), 201)


async def _change(request: web.Request) -> web.Response:
    body, key = given(await body_as(request, Change)), request.match_info["callback"]
    async with writing(request) as session:
        return answer(await callbacks.change_callback(session, key, body, now_ms(), strict=True))


async def _complete(request: web.Request) -> web.Response:
    body, key = await body_as(request, Done), request.match_info["callback"]
    async with writing(request) as session:
        return answer(await callbacks.complete_callback(session, key, body.outcome, now_ms(), body.notes))


async def _assign(request: web.Request) -> web.Response:
    body, key = await body_as(request, To), request.match_info["callback"]
    async with writing(request) as session:
        return answer(await callbacks.assign_callback(session, key, body.assigned_to or "", now_ms()))


async def _begin(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await callbacks.begin_callback(session, request.match_info["callback"], now_ms()))


async def _cancel(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await callbacks.cancel_callback(session, request.match_info["callback"], now_ms()))
