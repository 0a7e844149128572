"""What only traffic sources have: on and off at one stroke, and the numbers they may use."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.shapes import NUMBER, ROW, fields, list_of, nullable
from dcx_ari.services import sources
from dcx_ari.services.errors import Invalid

_BODY = {**fields(number={"type": ["string", "integer"]}), "additionalProperties": False}
_NUMBERS = list_of(ROW)


def add_routes(app: web.Application) -> None:
    one = "/api/traffic-sources/{key}"
    declare(
        app,
        [
            Route(
                method="PATCH",
                path=f"{one}/toggle-status",
                handler=_toggle,
                summary="Pause a source, or resume it; the whole row as it is now.",
                permission="sources.write",
                tag="sources",
                answer=ROW,
            ),
            Route(
                method="GET",
                path=f"{one}/numbers",
                handler=_numbers,
                summary="The numbers of a source, with the calls that each brought for it.",
                permission="sources.read",
                tag="sources",
                answer={**_NUMBERS, "properties": {**_NUMBERS["properties"], "number_limit": nullable(NUMBER)}},
            ),
            Route(
                method="POST",
                path=f"{one}/numbers",
                handler=_add,
                summary="Give a source a number, as far as its number_limit allows.",
                permission="numbers.write",
                tag="sources",
                body=_BODY,
                answer=ROW,
                refuses=(409,),
            ),
            Route(
                method="DELETE",
                path=f"{one}/numbers/{{number}}",
                handler=_remove,
                summary="Take a number off a source.",
                permission="numbers.write",
                tag="sources",
                status=204,
                refuses=(409,),
            ),
        ],
    )


async def _toggle(request: web.Request) -> web.Response:
    async with writing(request) as session:
        row = await sources.toggle(session, request.match_info["key"])
    return answer(row, headers={"ETag": f'"{row["version"]}"'})


async def _numbers(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await sources.numbers(session, request.match_info["key"]))


async def _add(request: web.Request) -> web.Response:
    body = await body_object(request)
    number = body.get("number")
    if set(body) != {"number"} or isinstance(number, bool) or not isinstance(number, (str, int)):
        raise Invalid("number", "is required, and nothing else: one of your numbers, or its id")
    async with writing(request) as session:
        return answer(await sources.add_number(session, request.match_info["key"], number))


async def _remove(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await sources.remove_number(session, request.match_info["key"], request.match_info["number"])
    return web.Response(status=204)
