"""Webhook endpoints and what is sent to them, for whoever may manage settings."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.context import answer, context, writing
from dcx_ari.api.idempotency import keep_no_answer
from dcx_ari.api.outbox import LIST_QUERY, Messages, page_of
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import webhooks
from dcx_ari.services.webhooks import MAX_GRACE_S, Targets

TARGETS: web.AppKey[Targets] = web.AppKey("dcx_targets", Targets)

Url = Annotated[str, Meta(min_length=1, max_length=2000, description="Where to post: https://… or http://…")]
Events = Annotated[list[str], Meta(min_length=1, max_length=50, description="Events such as call.completed; * for all")]
Text = Annotated[str, Meta(max_length=255)]
State = Literal["ACTIVE", "INACTIVE"]
Grace = Annotated[int, Meta(ge=0, le=MAX_GRACE_S, description="Seconds for which the old secret signs too")]


class NewWebhook(Body):
    url: Url
    events: Events
    format: Literal["standard", "slack"] = "standard"
    description: Text = ""
    secret: Annotated[str, Meta(max_length=100, description="whsec_… of your own; else one is made")] | None = None


class WebhookChange(Body):
    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    status: State | UnsetType = UNSET


class Rotation(Body):
    grace_s: Grace = webhooks.GRACE_S


class Webhook(msgspec.Struct, kw_only=True):
    id: int
    url: Annotated[str, Meta(description="Of a Slack webhook only the host")]
    events: list[str]
    format: Literal["standard", "slack"]
    description: str
    status: State
    version: int
    created_at: str
    updated_at: str
    failing_since: str | None
    disabled_reason: str | None
    old_secret_works_until: str | None


class MadeWebhook(Webhook, kw_only=True):
    secret: Annotated[str | None, Meta(description="The secret; it is not shown again. Slack: null")]


class Webhooks(msgspec.Struct):
    data: list[Webhook]
    next_cursor: str | None
    total: int


class Queued(msgspec.Struct):
    id: Annotated[str, Meta(description="webhook-id of the message in the outbox")]


def add_routes(app: web.Application) -> None:
    settings = partial(Route, permission="settings.manage", tag="Webhooks")
    all_of_them, one = "/api/webhooks", "/api/webhooks/{key}"
    declare(
        app,
        [
            settings(method="GET", path=all_of_them, handler=_index, summary="List webhooks", answer=Webhooks),
            settings(
                method="POST",
                path=all_of_them,
                handler=_create,
                summary="Add a webhook; the only answer that holds its secret",
                body=NewWebhook,
                answer=MadeWebhook,
                status=201,
                refuses=(409,),
            ),
            settings(method="GET", path=one, handler=_show, summary="Show a webhook", answer=Webhook),
            settings(
                method="PATCH",
                path=one,
                handler=_change,
                summary="Change a webhook",
                body=WebhookChange,
                answer=Webhook,
            ),
            settings(method="DELETE", path=one, handler=_remove, summary="Remove a webhook", status=204),
            settings(
                method="POST", path=f"{one}/pause", handler=_paused(True), summary="Pause a webhook", answer=Webhook
            ),
            settings(
                method="POST", path=f"{one}/resume", handler=_paused(False), summary="Resume a webhook", answer=Webhook
            ),
            settings(
                method="POST",
                path=f"{one}/rotate",
                handler=_rotate,
                summary="A new secret for a webhook",
                body=Rotation,
                body_required=False,
                answer=MadeWebhook,
            ),
            settings(
                method="POST",
                path=f"{one}/test",
                handler=_test,
                summary="Send a test event",
                answer=Queued,
                status=202,
                refuses=(409,),
            ),
            settings(
                method="GET",
                path=f"{one}/deliveries",
                handler=_deliveries,
                summary="List what was sent to a webhook",
                query={name: param for name, param in LIST_QUERY.items() if name != "endpoint_id"},
                answer=Messages,
            ),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await webhooks.list_endpoints(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create(request: web.Request) -> web.Response:
    body = await body_as(request, NewWebhook)
    url = await webhooks.safe_url(request.app[TARGETS], body.url)
    async with writing(request) as session:
        row, secret = await webhooks.create(
            session, url, body.events, kind=body.format, description=body.description, secret=body.secret
        )
    keep_no_answer(request)
    return answer({**row, "secret": secret}, 201, {"Location": f"/api/webhooks/{row['id']}"})


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await webhooks.get(session, request.match_info["key"]))


async def _change(request: web.Request) -> web.Response:
    body: dict[str, Any] = given(await body_as(request, WebhookChange))
    if "url" in body:
        body["url"] = await webhooks.safe_url(request.app[TARGETS], body["url"])
    async with writing(request) as session:
        return answer(await webhooks.change(session, request.match_info["key"], body))


async def _remove(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await webhooks.remove(session, request.match_info["key"])
    return web.Response(status=204)


def _paused(paused: bool) -> Any:
    async def handle(request: web.Request) -> web.Response:
        async with writing(request) as session:
            return answer(await webhooks.set_paused(session, request.match_info["key"], paused))

    return handle


async def _rotate(request: web.Request) -> web.Response:
    body = await body_as(request, Rotation, optional=True)
    async with writing(request) as session:
        row, secret = await webhooks.rotate(session, request.match_info["key"], body.grace_s)
    keep_no_answer(request)
    return answer({**row, "secret": secret})


async def _test(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer({"id": await webhooks.send_test(session, request.match_info["key"])}, 202)


async def _deliveries(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        row = await webhooks.get(session, request.match_info["key"])
    return await page_of(request, endpoint_id=[str(row["id"])])
