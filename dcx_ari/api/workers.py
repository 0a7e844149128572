"""`GET /api/workers`: the engine's processes."""

from __future__ import annotations

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Route, declare
from dcx_ari.clock import now_ms
from dcx_ari.services.workers import as_row, list_workers


class Worker(msgspec.Struct):
    slot: str
    pid: int
    state: str
    calls: int
    started_at: str
    seen_at: str


class Workers(msgspec.Struct):
    items: list[Worker]


async def _list(request: web.Request) -> web.Response:
    found = await list_workers(context(request).database, now_ms())
    return answer({"items": [as_row(worker) for worker in found]})


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/workers",
                handler=_list,
                summary="The engine's processes: what each does, and its open calls",
                permission="live.view",
                tag="System",
                answer=Workers,
            )
        ],
    )
