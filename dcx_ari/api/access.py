"""Who asks, from where, how often, and whether he may: asked in this order, before a handler sees the request.

401 without a valid key or session, 403 from a network that is not the key's, 429 over the limit, 403 without the
route's permission. Only then does a handler look for a row, so a 403 says nothing about what exists.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from dcx_ari.api.context import ADDRESS, HOLDER, answer
from dcx_ari.api.routes import ROUTES, Route, declared
from dcx_ari.services.gate import Gate
from dcx_ari.services.holder import Holder, Network, parse_address, within
from dcx_ari.services.rate import Taken
from dcx_ari.services.tickets import Tickets

GATE: web.AppKey[Gate] = web.AppKey("dcx_gate", Gate)
PROXIES: web.AppKey[tuple[Network, ...]] = web.AppKey("dcx_proxies", tuple)
TICKETS: web.AppKey[Tickets] = web.AppKey("dcx_tickets", Tickets)
TOKEN = web.RequestKey("dcx_token", str)
"""The key or session that the request was let in with: never to be shown, kept to ask again whether it still holds."""
_TAKEN = web.RequestKey("dcx_taken", Taken)
_GUARDED = ("/api/", "/ws/")
_LONGEST_HEADER = 200


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    address = peer(request)
    request[ADDRESS] = address or ""
    route = declared(request)
    if await _is_open(request, route):
        return await handler(request)
    token = bearer(request) or _by_ticket(request)
    gate = request.app[GATE]
    holder = await gate.holder(token) if token is not None else None
    if holder is None or token is None:
        rule = "a valid key is needed: Authorization: Bearer dcx_…"
        return problem("Authorization", rule, 401, {"WWW-Authenticate": "Bearer"})
    if not holder.may_come_from(address):
        return problem("Authorization", f"this key may not be used from {address or 'there'}", 403)
    taken = gate.take(holder)
    if taken is not None:
        request[_TAKEN] = taken
        if taken.wait_s > 0:
            return problem("rate_limit", f"more than {taken.limit} requests a minute: wait", 429)
    gate.used(token, holder, address)
    if (reason := _refusal(request, route, holder)) is not None:
        return problem("Authorization", reason, 403)
    request[HOLDER] = holder
    request[TOKEN] = token
    return await handler(request)


def _by_ticket(request: web.Request) -> str | None:
    """What the ticket in a WebSocket's URL stands for; nothing where there is a header as well."""
    ticket = request.query.get("ticket", "") if request.path.startswith("/ws/") else ""
    if not ticket or len(ticket) > _LONGEST_HEADER or "Authorization" in request.headers:
        return None
    return request.app[TICKETS].take(ticket)


def bearer(request: web.Request) -> str | None:
    """The token of the one Authorization header; None where there is none, several, or something else in it."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1 or len(given[0]) > _LONGEST_HEADER:
        return None
    scheme, _, token = given[0].strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.isascii() and token.isprintable() else None


def peer(request: web.Request) -> str | None:
    """The address that the request comes from.

    X-Forwarded-For is believed only as far as it was written by proxies that are trusted: its last entry that is
    not one of them, and the peer itself where that is not a proxy.
    """
    found = parse_address(request.remote)
    proxies = request.app[PROXIES]
    if found is None:
        return None
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",") if proxies else []
    while hops and within(found, proxies):
        hop = parse_address(hops.pop())
        if hop is None:
            break
        found = hop
    return str(found)


async def limit_headers(request: web.Request, response: web.StreamResponse) -> None:
    """How much of the limit is left, on every answer to a key that has one."""
    taken = request.get(_TAKEN)
    if taken is not None:
        response.headers.update(taken.headers)


async def keep_gate(app: web.Application) -> AsyncIterator[None]:
    """Times of last use are written while the application runs, and once more at its end."""
    gate = app[GATE]
    keeping = asyncio.create_task(gate.keep(), name="times of last use")
    yield
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await gate.flush()


def problem(field: str, rule: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return answer({"error": {"field": field, "rule": rule, "message": f"{field}: {rule}"}}, status, headers)


async def _is_open(request: web.Request, route: Route | None) -> bool:
    """Without a key: what is declared so, and what is not ours to guard. A wrong method is as open as the right one."""
    missing = request.match_info.http_exception
    if route is None and isinstance(missing, web.HTTPMethodNotAllowed):
        right = await request.app.router.resolve(request.clone(method=min(missing.allowed_methods)))
        resource = right.route.resource
        route = request.app[ROUTES].get((right.route.method, resource.canonical)) if resource is not None else None
    if route is not None:
        return route.permission is None
    return not request.path.startswith(_GUARDED)


def _refusal(request: web.Request, route: Route | None, holder: Holder) -> str | None:
    """Why this holder may not; a path or method that does not exist is told to whoever holds a key.

    A route that was not declared is the administrators', so that forgetting it opens nothing.
    """
    if route is None and request.match_info.http_exception is not None:
        return None
    wanted = (route.permission if route is not None else None) or "*"
    return None if holder.may(wanted) else f"role {holder.role} lacks {wanted}"
