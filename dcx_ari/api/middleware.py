"""Around every request: an id, a metric, and errors as JSON without a traceback."""

from __future__ import annotations

import logging
import re
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from dcx_ari.api.access import problem
from dcx_ari.api.context import CONTEXT, REQUEST_ID, answer
from dcx_ari.services import errors
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUS = (
    (errors.UnknownKey, 400),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Gone, 410),
    (errors.Stale, 412),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
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
    seconds = request.app[CONTEXT].seconds.labels(request.method, route_of(request), str(response.status))
    seconds.observe(time.perf_counter() - begun)
    return response


def route_of(request: web.Request) -> str:
    """The route's pattern, without what stood in the path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


async def common_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, those that stream too."""
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where errors become HTTP."""
    try:
        return await handler(request)
    except errors.Refused as error:
        status = next(code for kind, code in _STATUS if isinstance(error, kind))
        return answer(error.as_json(), status)
    except StoreError as error:
        log.error("%s %s: %s", request.method, route_of(request), error)  # never the path: it may hold a secret
        headers = {"Retry-After": "1"} if error.retry else None
        return problem("database", str(error), 503, headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allowed = error.headers.get("Allow")
        rule = error.text if error.status == 415 and error.text else error.reason
        return problem("request", rule, error.status, {"Allow": allowed} if allowed else None)
    except Exception:  # the boundary: whatever else went wrong is ours, and is told by its id only
        log.exception("request %s failed", request[REQUEST_ID])
        return problem("server", f"failed: see the log, request {request[REQUEST_ID]}", 500)
