"""API keys, for administrators."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, body_object, context, holder
from dcx_ari.services.errors import Invalid
from dcx_ari.services.keys import create_key, list_keys, revoke_key


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/api-keys", _index)
    app.router.add_post("/api/api-keys", _create)
    app.router.add_delete("/api/api-keys/{key}", _revoke)


def _administrator(request: web.Request) -> None:
    if holder(request).role != "admin":
        raise web.HTTPForbidden


async def _index(request: web.Request) -> web.Response:
    _administrator(request)
    async with context(request).database.read() as session:
        found = await list_keys(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create(request: web.Request) -> web.Response:
    """The only answer that holds the key itself."""
    _administrator(request)
    data = await body_object(request)
    if unknown := sorted(set(data) - {"name", "role"}):
        raise Invalid(unknown[0], "is not a field of keys")
    name, role = data.get("name"), data.get("role", "admin")
    if not isinstance(name, str) or not isinstance(role, str):
        raise Invalid("role" if isinstance(name, str) else "name", "must be text")
    async with context(request).database.write() as session:
        row, key = await create_key(session, name, role)
    return answer({**row, "key": key}, 201)


async def _revoke(request: web.Request) -> web.Response:
    _administrator(request)
    async with context(request).database.write() as session:
        await revoke_key(session, request.match_info["key"])
    return web.Response(status=204)
