"""The rule that keeps out callers who ring too often."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, YES_NO, fields, nullable
from dcx_ari.services import velocity

_SHOWN = fields(
    enabled=YES_NO,
    calls=nullable(NUMBER),
    minutes=nullable(NUMBER),
    block_minutes=nullable(NUMBER),
    updated_at=nullable(MOMENT),
)
_PATH = "/api/suppressions/velocity"


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path=_PATH,
                handler=_show,
                summary="The rule that keeps out callers who ring too often.",
                permission="suppressions.read",
                tag="suppressions",
                answer=_SHOWN,
            ),
            Route(
                method="PUT",
                path=_PATH,
                handler=_change,
                summary="Turn it on: so many calls from one number within so many minutes keep it out for a while.",
                permission="suppressions.write",
                tag="suppressions",
                body=velocity.RuleFields,
                answer=_SHOWN,
            ),
            Route(
                method="DELETE",
                path=_PATH,
                handler=_turn_off,
                summary="Turn it off; entries that it made end by themselves.",
                permission="suppressions.write",
                tag="suppressions",
                answer=_SHOWN,
            ),
        ],
    )


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await velocity.show(session))


async def _change(request: web.Request) -> web.Response:
    body = await body_object(request)
    async with writing(request) as session:
        return answer(await velocity.change(session, body, strict=True))


async def _turn_off(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await velocity.turn_off(session))
