"""The API's contract as OpenAPI 3.1, made from the declared routes, and a page that shows it without any network."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import msgspec
from aiohttp import web

from dcx_ari.api.context import answer
from dcx_ari.api.routes import COMPONENT, ROUTES, Param, Route, Shape, declare
from dcx_ari.api.shapes import TEXT, fields
from dcx_ari.services.resources import RESOURCES

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"{([a-z_]+)(?::[^}]*)?}")
_BARE = (206, 302, 304)  # answers without a problem in them
_PROBLEM: dict[str, Any] = {"$ref": _REF.format(name="Problem")}
_WORDS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted.",
    204: "Done; nothing to tell.",
    206: "The part that was asked for.",
    302: "It is elsewhere.",
    304: "It has not changed.",
    400: "A filter or parameter that is not known.",
    401: "A valid key is needed.",
    403: "The key may not do this, or not from this network.",
    404: "There is no such row.",
    405: "Not with this method.",
    409: "Not as things are: the message says what is in the way.",
    410: "It was deleted on purpose.",
    412: "The row has changed since it was read.",
    413: "The body is too large.",
    415: "The body is not of a type that is read here.",
    416: "There is no such part.",
    422: "A value that does not fit: the message names field and rule.",
    429: "Too many requests with this key: see Retry-After.",
    503: "The database or Asterisk is away; try again.",
}


def add_routes(app: web.Application) -> None:
    described: dict[str, Any] = {"permission": None, "tag": "about", "refuses": ()}
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/openapi.json",
                handler=_show,
                summary="This document.",
                answer={"type": "object"},
                **described,
            ),
            Route(
                method="GET",
                path="/api/docs",
                handler=_page,
                summary="The same for people, without any network.",
                answer=TEXT,
                media="text/html",
                **described,
            ),
        ],
    )


async def _show(request: web.Request) -> web.Response:
    return answer(document(request.app[ROUTES].values()))


async def _page(_request: web.Request) -> web.Response:
    page = files("dcx_ari.api").joinpath("docs.html").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


def document(routes: Collection[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of these routes, in their order of paths."""
    components = _Components()
    components.found["Problem"] = {
        **fields(error=fields(field=TEXT, rule=TEXT, message=TEXT)),
        "description": "Which field, which rule, and both in one line.",
    }
    paths: dict[str, dict[str, Any]] = {}
    known = {(route.method, route.path) for route in routes}
    routes = [route for route in routes if not _is_alias(route, known)]
    for route in sorted(routes, key=lambda each: (each.path, each.method)):
        path = _PLACE.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DCX",
            "version": version("dcx-ari"),
            "summary": "A self-hosted call exchange on Asterisk.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [_tag(name) for name in sorted({route.tag for route in routes})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.found.items())),
            "responses": {str(status): _refusal(status) for status in sorted(components.refusals)},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "dcx keys create NAME"}},
        },
    }


def _tag(name: str) -> dict[str, str]:
    resource = RESOURCES.get(name)
    if resource is None or not resource.aliases:
        return {"name": name}
    others = " and ".join(f"/api/{alias}" for alias in resource.aliases)
    return {"name": name, "description": f"{resource.help} The same under {others}."}


def _is_alias(route: Route, known: Collection[tuple[str, str]]) -> bool:
    """Whether the same is there under the first name of its kind of row."""
    for resource in RESOURCES.values():
        for alias in resource.aliases:
            start = f"/api/{alias}"
            if route.path == start or route.path.startswith(f"{start}/"):
                return (route.method, f"/api/{resource.path}{route.path.removeprefix(start)}") in known
    return False


class _Components:
    """Schemas that are named once and referred to."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.refusals: set[int] = set()

    def schema(self, shape: Shape) -> dict[str, Any]:
        if shape is None:
            return {}
        if isinstance(shape, Mapping):
            lifted: dict[str, Any] = self._lifted(shape)
            return lifted
        if issubclass(shape, msgspec.Struct):
            (made,), defined = msgspec.json.schema_components([shape], ref_template=_REF)
            self.found |= defined
            return made
        whole: dict[str, Any] = shape.model_json_schema(ref_template=_REF.replace("{name}", "{model}"))  # type: ignore[attr-defined]
        self.found |= whole.pop("$defs", {})
        self.found[shape.__name__] = whole
        return {"$ref": _REF.format(name=shape.__name__)}

    def _lifted(self, value: Any) -> Any:
        """With every named part replaced by a reference."""
        if isinstance(value, Mapping):
            made = {key: self._lifted(each) for key, each in value.items() if key != COMPONENT}
            name = value.get(COMPONENT)
            if name is None:
                return made
            self.found[name] = made
            return {"$ref": _REF.format(name=name)}
        return [self._lifted(each) for each in value] if isinstance(value, list) else value


def _operation(route: Route, components: _Components) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            *_places(route),
            *(_parameter(name, each) for name, each in route.query.items()),
            *_headers(route),
        ],
        "responses": _responses(route, components),
    }
    if route.open_query:
        made["parameters"].append(_FILTERS)
    if route.body is not None:
        content = {route.body_media: {"schema": components.schema(route.body)}}
        made["requestBody"] = {"content": content, "required": route.body_required}
    if route.permission is not None:
        made["security"] = [{"key": []}]
        made["x-permission"] = route.permission
    return made


# Every column is a filter; the listed ones are those that most people want.
_FILTERS = {
    "name": "filters",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "explode": True,
    "description": "filters[column]=a,b: all keys must match, each with any of its values.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def _responses(route: Route, components: _Components) -> dict[str, Any]:
    good: dict[str, Any] = {"description": _WORDS.get(route.status, "Done.")}
    if route.answer is not None and route.status != 204:
        good["content"] = {route.media: {"schema": components.schema(route.answer)}}
    answers = {str(route.status): good}
    for status in sorted({*route.refuses, *_general(route)}):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
        components.refusals.add(status)
    return answers


def _refusal(status: int) -> dict[str, Any]:
    content = {} if status in _BARE else {"content": {"application/json": {"schema": _PROBLEM}}}
    return {"description": _WORDS.get(status, "Refused."), **content}


def _general(route: Route) -> Iterator[int]:
    """Statuses that need no mention in the declaration."""
    if not route.path.startswith("/api/"):
        return
    yield from (400, 422, 503)
    if route.permission is not None:
        yield from (401, 403, 429)
    if _PLACE.search(route.path) or "view" in route.query:  # a saved view that is not there
        yield 404
    if _keeps_answers(route):
        yield 409  # under way with the same Idempotency-Key
    if route.body is not None:
        yield from (409, 413, 415)


def _places(route: Route) -> Iterator[dict[str, Any]]:
    for name in _PLACE.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _headers(route: Route) -> Iterator[dict[str, Any]]:
    if 412 in route.refuses:
        yield _IF_MATCH
    if _keeps_answers(route):
        yield _IDEMPOTENCY_KEY


def _keeps_answers(route: Route) -> bool:
    return route.method == "POST" and route.permission is not None and route.body_media == "application/json"


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the row as it was read: the change is refused with 412 if it has changed since.",
    "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,8}"$'},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key is done once; its answer is kept for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _parameter(name: str, param: Param) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": param.required,
        "description": param.help,
        "schema": dict(param.schema),
    }


def _operation_id(route: Route) -> str:
    """`GET /api/buyers/{key}` → `get_api_buyers_key`; unique because method and path are."""
    path = _PLACE.sub(r"by \1", route.path)
    words = f"{route.method} {path}"
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
