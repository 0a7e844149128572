"""What handlers share, and how they read requests and write answers."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram

from dcx_ari.services.audit import SYSTEM, Actor
from dcx_ari.services.errors import Invalid
from dcx_ari.services.filters import values_in
from dcx_ari.services.holder import Holder
from dcx_ari.services.idempotency import Claim, done
from dcx_ari.services.listing import Page, Query
from dcx_ari.services.scope import EVERYTHING, Scope
from dcx_ari.store.db import Database, Session

Readiness = Callable[[], Awaitable[str | None]]
"""Returns None when calls can be taken, otherwise the reason why not."""

Scrape = Callable[[], Awaitable[bytes]]
"""Returns the figures for Prometheus, where they are more than what is in the registry."""

MAX_BODY = 1024 * 1024
DEFAULT_ZONE = "America/New_York"


@dataclass(frozen=True)
class Context:
    """One application's parts. `zone` is the company's, `home` where recordings are."""

    database: Database
    readiness: Readiness
    registry: CollectorRegistry
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo(DEFAULT_ZONE))
    home: Path | None = None
    scrape: Scrape | None = None
    seconds: Histogram = field(init=False)

    def __post_init__(self) -> None:
        seconds = Histogram(
            "dcx_http_request_seconds",
            "Time to answer HTTP requests",
            ("method", "route", "status"),
            registry=self.registry,
        )
        object.__setattr__(self, "seconds", seconds)

    def of(self, info: Mapping[str, Any]) -> Context:
        """The same parts, with `info` in every session of the database."""
        made = copy.copy(self)
        object.__setattr__(made, "database", replace(self.database, info={**self.database.info, **info}))
        return made


CONTEXT: web.AppKey[Context] = web.AppKey("dcx_context", Context)
HOLDER = web.RequestKey("dcx_holder", Holder)
ADDRESS = web.RequestKey("dcx_address", str)
CLAIM = web.RequestKey("dcx_claim", Claim)
"""The idempotency key that the request works under."""
_HERE = web.RequestKey("dcx_here", Context)
REQUEST_ID = web.RequestKey("dcx_request_id", str)


def context(request: web.Request) -> Context:
    """The application's parts. Sessions of its database know who asks, what he may see, and the company's zone, in
    `read()` and in `write()`: no handler can forget it.
    """
    here = request.app[CONTEXT]
    if HOLDER not in request:
        return here.of(_asked(request))
    found = request.get(_HERE)
    if found is None:
        found = request[_HERE] = here.of(_asked(request))
    return found


def holder(request: web.Request) -> Holder:
    """Whose key the request carries; set by the middleware for everything under /api that is not public."""
    return request[HOLDER]


def actor(request: web.Request) -> Actor:
    """Who asks, for the audit log."""
    found = request.get(HOLDER)
    if found is None:
        return replace(SYSTEM, address=request.get(ADDRESS) or None)
    return Actor(found.kind, str(found.id), found.name, request.get(ADDRESS) or None)


@asynccontextmanager
async def reading(request: web.Request) -> AsyncIterator[Session]:
    """What whoever asks may see: `services.find` and lists go by the session's scope."""
    async with context(request).database.read() as session:
        session.info.update(_asked(request))
        yield session


@asynccontextmanager
async def writing(request: web.Request) -> AsyncIterator[Session]:
    """A transaction in the name of whoever asks: what it records in the audit log says so."""
    async with context(request).database.write() as session:
        session.info.update(_asked(request))
        yield session
        if (claimed := request.get(CLAIM)) is not None:
            await done(session, claimed)


def _asked(request: web.Request) -> dict[str, Any]:
    found = request.get(HOLDER)
    scope = Scope(found.buyer_id, found.source_id) if found is not None else EVERYTHING
    return {"actor": actor(request), "zone": request.app[CONTEXT].zone, "scope": scope}


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8", headers=headers)


def page_answer(page: Page) -> web.Response:
    shown: dict[str, Any] = {"data": page.items, "next_cursor": page.next_cursor}
    if page.total >= 0:
        shown["total"] = page.total
    return answer(shown)


async def body_object(request: web.Request, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in the body. Raises Invalid, HTTP 413 and 415."""
    raw = await request.read()
    if not raw.strip() and optional:
        return {}
    if not (request.content_type == "application/json" or request.content_type.endswith("+json")):
        raise web.HTTPUnsupportedMediaType(text="Content-Type must be application/json")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Invalid("body", f"must be JSON: {reason}") from None
    if not isinstance(value, dict):
        raise Invalid("body", "must be a JSON object")
    return value


def query_of(request: web.Request, *, limit: int = 100) -> Query:
    """`?status=A,B&filters[tier]=0&q=text&sort_by=name&sort_order=desc&limit=50&cursor=…`"""
    filters: dict[str, list[str]] = {}
    values: dict[str, Any] = {"limit": limit}
    for name, text in request.query.items():
        if name in ("q", "search"):
            values["search"] = text
        elif name in ("sort_by", "cursor", "view"):
            values[name] = text
        elif name == "sort_order":
            if text.lower() not in ("asc", "desc"):
                raise Invalid("sort_order", "must be asc or desc")
            values["descending"] = text.lower() == "desc"
        elif name == "limit":
            if not (text.isascii() and text.isdigit() and len(text) < 6):
                raise Invalid("limit", "must be a whole number")
            values["limit"] = int(text)
        else:
            key = name[8:-1] if name.startswith("filters[") and name.endswith("]") else name
            filters.setdefault(key, []).extend(values_in(text))
    return Query(filters={key: each for key, each in filters.items() if each}, **values)
