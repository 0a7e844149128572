"""Is it alive, can it take calls, how is it doing."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Route, declare
from dcx_ari.store.errors import StoreError

_PING_S = 2.0


class Health(msgspec.Struct, kw_only=True, omit_defaults=True):
    status: str
    reason: str | None = None


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/health",
                handler=_health,
                summary="Is it alive",
                permission=None,
                tag="Health",
                answer=Health,
            ),
            Route(
                method="GET",
                path="/ready",
                handler=_ready,
                summary="Can it take calls",
                permission=None,
                tag="Health",
                answer=Health,
                refuses=(503,),
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=_metrics,
                summary="How it is doing, for Prometheus",
                permission=None,
                tag="Health",
                answer={"type": "string"},
                media="text/plain",
            ),
        ],
    )


async def _health(_request: web.Request) -> web.Response:
    return answer({"status": "ok"})


async def _ready(request: web.Request) -> web.Response:
    here = context(request)
    reason = await here.readiness()
    if reason is None:
        try:
            async with asyncio.timeout(_PING_S):
                await here.database.ping()
        except StoreError as error:
            reason = str(error)
        except TimeoutError:
            reason = f"database {here.database.where} did not answer within {_PING_S:g} s"
    if reason is not None:
        return answer({"status": "not ready", "reason": reason}, 503)
    return answer({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    here = context(request)
    body = await here.scrape() if here.scrape is not None else generate_latest(here.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
