"""The outbox: what was told to the outside, and what still waits."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from dcx_ari.api.bodies import Body, body_as
from dcx_ari.api.context import answer, context, page_answer, query_of, writing
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.services import outbox
from dcx_ari.services.errors import UnknownKey

LIST_QUERY = {
    **{name: Param(f"Only these: {text}; several with commas") for name, text in outbox.FILTERS.items()},
    "limit": Param("Most rows, up to 1000", {"type": "integer", "minimum": 1, "maximum": 1000}),
    "cursor": Param("Where the next page begins: `next_cursor` of the last"),
}


class Message(msgspec.Struct, kw_only=True):
    id: Annotated[str, Meta(description="webhook-id: the same at every attempt")]
    kind: str
    event: str
    endpoint_id: int | None
    call_id: str | None
    state: str
    attempts: int
    created_at: str
    next_at: str | None
    ended_at: str | None
    last_status: int | None
    last_error: str | None


class Try(msgspec.Struct, kw_only=True):
    at: str
    took_ms: int
    status: int | None
    error: str | None
    answer: Annotated[str | None, Meta(description="Start of what the receiver answered")]


class WholeMessage(Message, kw_only=True):
    order_key: str | None
    recipients: Annotated[dict[str, str] | None, Meta(description="E-mail: what became of each address")]
    payload: dict[str, Any]
    tries: list[Try]


class Messages(msgspec.Struct):
    data: list[Message]
    next_cursor: str | None
    total: int


class RetryAll(Body):
    endpoint_id: int | None = None


class Retried(msgspec.Struct):
    messages: int


def add_routes(app: web.Application) -> None:
    settings = partial(Route, permission="settings.manage", tag="Webhooks")
    one = "/api/outbox/{id}"
    declare(
        app,
        [
            settings(
                method="GET",
                path="/api/outbox",
                handler=_index,
                summary="List messages to the outside, newest first",
                query=LIST_QUERY,
                answer=Messages,
            ),
            settings(
                method="POST",
                path="/api/outbox/retry",
                handler=_retry_dead,
                summary="Send all dead messages again",
                body=RetryAll,
                body_required=False,
                answer=Retried,
            ),
            settings(
                method="GET", path=one, handler=_show, summary="Show a message and its attempts", answer=WholeMessage
            ),
            settings(
                method="POST",
                path=f"{one}/retry",
                handler=_retry,
                summary="Send a message again: same id, same content",
                answer=Message,
                refuses=(409,),
            ),
            settings(
                method="POST",
                path=f"{one}/discard",
                handler=_discard,
                summary="Never send a message",
                answer=Message,
                refuses=(409,),
            ),
        ],
    )


async def page_of(request: web.Request, **fixed: list[str]) -> web.Response:
    """A page of the list by the request's query, with these filters besides. Raises UnknownKey, Invalid."""
    for name in request.query:
        if name not in LIST_QUERY or name in fixed:
            raise UnknownKey(name, f"is not one of {', '.join(each for each in LIST_QUERY if each not in fixed)}")
    query = query_of(request)
    filters = {**query.filters, **fixed}
    async with context(request).database.read() as session:
        page = await outbox.list_messages(session, filters, limit=query.limit or 0, cursor=query.cursor)
    return page_answer(page)


async def _index(request: web.Request) -> web.Response:
    return await page_of(request)


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await outbox.get(session, request.match_info["id"]))


async def _retry(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await outbox.retry(session, request.match_info["id"]))


async def _retry_dead(request: web.Request) -> web.Response:
    body = await body_as(request, RetryAll, optional=True)
    async with writing(request) as session:
        return answer({"messages": await outbox.retry_dead(session, endpoint_id=body.endpoint_id)})


async def _discard(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await outbox.discard(session, request.match_info["id"]))
