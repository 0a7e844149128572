"""How a route is declared: one entry says what it does, who may use it, and what goes in and out.

The router, the permission check, the OpenAPI document and the docs' test are all fed by these entries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Shape = type | Mapping[str, Any] | None
"""A msgspec Struct, a pydantic model, a JSON Schema (2020-12) object; None: nothing."""

COMPONENT = "x-component"
"""In a JSON Schema object: the name under which the OpenAPI document keeps it once."""


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter. `schema` is JSON Schema."""

    help: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    `permission` is the name that the asker's role must hold; None: no key is asked for (the handler looks after
    itself: a signature in the URL, a public page). `answer` is the shape of the answer with `status`, and with those
    in `also`; `media` its type where it is not JSON. `refuses` are statuses that can come besides the general ones
    (400, 401, 403, 404 where the path names a row, 413, 415, 422, 429, 503). `open_query`: other query keys than
    `query` are handed on, such as filters by column.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    permission: str | None
    tag: str
    query: Mapping[str, Param] = field(default_factory=dict)
    open_query: bool = False
    body: Shape = None
    body_media: str = "application/json"
    body_required: bool = True
    answer: Shape = None
    status: int = 200
    also: tuple[int, ...] = ()
    media: str = "application/json"
    refuses: tuple[int, ...] = ()


ROUTES: web.AppKey[dict[tuple[str, str], Route]] = web.AppKey("dcx_routes", dict)
"""All declared routes of an application by (method, path)."""


def declare(app: web.Application, routes: Iterable[Route]) -> None:
    """Add routes to the application. Raises ValueError where one is declared twice."""
    known = app.setdefault(ROUTES, {})
    for route in routes:
        key = (route.method, route.path)
        if key in known:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        known[key] = route
        if route.method == "GET":
            app.router.add_get(route.path, route.handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, route.handler)


def declared(request: web.Request) -> Route | None:
    """The entry of the route that this request goes to; None where there is none (404, 405)."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    return request.app.get(ROUTES, {}).get((method, resource.canonical))
