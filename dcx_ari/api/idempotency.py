"""`Idempotency-Key` on POST: the request is carried out once, and answered the same however often it is sent."""

from __future__ import annotations

import contextlib
import hashlib
import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from dcx_ari.api.context import CLAIM, HOLDER, context
from dcx_ari.services.errors import Invalid
from dcx_ari.services.idempotency import FIELD, Claim, Kept, claim, free, keep, parse_key
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

REPLAYED = "Idempotent-Replayed"
_KEPT_HEADERS = ("Content-Type", "Location", "ETag")
_UNKEPT = web.RequestKey("dcx_answer_unkept", bool)


def keep_no_answer(request: web.Request) -> None:
    """The answer holds a secret: it is shown this once, and never written down."""
    request[_UNKEPT] = True


@web.middleware
async def idempotent(request: web.Request, handler: Handler) -> web.StreamResponse:
    """After the holder is known; a request without the header goes straight on."""
    given = request.headers.getall(FIELD, [])
    if not given or request.method != "POST" or HOLDER not in request:
        return await handler(request)
    if len(given) > 1:
        raise Invalid(FIELD, "must be given once")
    key = parse_key(given[0])
    if request.can_read_body and not request.content_type.endswith("json"):
        raise Invalid(FIELD, "goes with JSON only: an upload is read as it comes")
    holder = request[HOLDER]
    database = context(request).database
    found = await claim(database, f"{holder.kind}:{holder.id}", key, await _hash(request))
    if isinstance(found, Kept):
        return web.Response(status=found.status, headers={**found.headers, REPLAYED: "true"}, body=found.body)
    request[CLAIM] = found
    return await _carry_out(request, handler, found)


async def _carry_out(request: web.Request, handler: Handler, claimed: Claim) -> web.StreamResponse:
    database = context(request).database
    try:
        response = await handler(request)
    except BaseException:
        with contextlib.suppress(StoreError):
            await free(database, claimed)
        raise
    if response.status >= 400:
        await free(database, claimed)
        return response
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    told = None if request.get(_UNKEPT) or not isinstance(response, web.Response) else body
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    try:
        await keep(database, claimed, Kept(response.status, headers, told))
    except StoreError as error:  # what was asked is done: say so, whatever becomes of the key
        log.warning("an answer could not be kept: %s", error)
    return response


async def _hash(request: web.Request) -> str:
    """Of what is asked: method, path with query, body. The key or session of the asker is in it, so that a body
    with a password cannot be guessed from its hash.
    """
    made = hashlib.sha256()
    asker = request.headers.get("Authorization", "").encode()
    for part in (asker, request.method.encode(), request.raw_path.encode(), await request.read()):
        made.update(len(part).to_bytes(8, "big") + part)
    return made.hexdigest()
