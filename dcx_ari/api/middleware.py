"""Around every request: an id, a metric, the key, and errors as JSON without a traceback."""

from __future__ import annotations

import logging
import re
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from dcx_ari.api.context import HOLDER, REQUEST_ID, answer, context
from dcx_ari.services import errors
from dcx_ari.services.keys import verify_key
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUS = (
    (errors.UnknownKey, 400),
    (errors.NotFound, 404),
    (errors.Stale, 412),
    (errors.Conflict, 409),
    (errors.Refused, 422),
)


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: request id and timing."""
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    request[REQUEST_ID] = request_id
    begun = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    seconds = context(request).seconds.labels(request.method, route, str(response.status))
    seconds.observe(time.perf_counter() - begun)
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where errors become HTTP."""
    try:
        return await handler(request)
    except errors.Refused as error:
        status = next(code for kind, code in _STATUS if isinstance(error, kind))
        return answer(error.as_json(), status)
    except StoreError as error:
        log.error("%s %s: %s", request.method, request.rel_url.raw_path, error)
        headers = {"Retry-After": "1"} if error.retry else None
        return _problem("database", str(error), 503, headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allowed = error.headers.get("Allow")
        rule = error.text if error.status == 415 and error.text else error.reason
        return _problem("request", rule, error.status, {"Allow": allowed} if allowed else None)
    except Exception:  # the boundary: whatever else went wrong is ours, and is told by its id only
        log.exception("request %s failed", request[REQUEST_ID])
        return _problem("server", f"failed: see the log, request {request[REQUEST_ID]}", 500)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A key for everything under /api that is not public; its role for what changes things."""
    here = context(request)
    if not request.path.startswith("/api/") or request.path.startswith(here.public):
        return await handler(request)
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    found = await verify_key(here.database, key.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        return _problem(
            "Authorization", "a valid key is needed: Authorization: Bearer dcx_…", 401, {"WWW-Authenticate": "Bearer"}
        )
    if request.method not in ("GET", "HEAD") and not found.writes:
        return _problem("Authorization", f"a key of role {found.role} may not change anything", 403)
    request[HOLDER] = found
    return await handler(request)


def _problem(field: str, rule: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return answer({"error": {"field": field, "rule": rule, "message": f"{field}: {rule}"}}, status, headers)
