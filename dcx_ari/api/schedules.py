"""Opening hours asked: open at a moment or not, and what is closed now."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services import schedules

_TOLD = {
    "id": NUMBER,
    "schedule": TEXT,
    "timezone": TEXT,
    "at": TEXT,
    "local_time": TEXT,
    "open": YES_NO,
    "state": {"type": "string", "enum": ["open", "closed", "holiday"]},
    "why": {"type": "string", "enum": ["weekly", "holiday", "exception", "recurrence"]},
    "rule": TEXT,
    "next_change_at": nullable(TEXT),
    "closes": nullable(TEXT),
    "opens": nullable(TEXT),
}
_ZONE = {"timezone": Param("IANA zone in which local times are told; else the schedule's own.")}


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/schedules/{key}/test",
                handler=_test,
                summary="Open, closed or holiday at a moment, by which rule, and until when.",
                permission="schedules.read",
                tag="schedules",
                query={"at": Param("RFC 3339, or a local time of the schedule's zone; else now."), **_ZONE},
                answer=fields(**_TOLD),
            ),
            Route(
                method="GET",
                path="/api/schedules/overview",
                handler=_overview,
                summary="Every schedule now: open or closed, until when, and who keeps to it.",
                permission="schedules.read",
                tag="schedules",
                query={"closed": Param("true: only those that are closed.", YES_NO), **_ZONE},
                answer=list_of(fields(**_TOLD, campaigns=NUMBER, buyers=NUMBER)),
            ),
        ],
    )


async def _test(request: web.Request) -> web.Response:
    at, zone = request.query.get("at", ""), request.query.get("timezone")
    async with context(request).database.read() as session:
        return answer(await schedules.at_moment(session, request.match_info["key"], _plus(at), now_ms(), zone))


def _plus(at: str) -> str:
    """A + that a URL turned into a space is put back: `…T10:00:00 02:00`."""
    head, space, tail = at.rpartition(" ")
    return f"{head}+{tail}" if space and "T" in head and len(tail) == 5 and tail[2] == ":" else at


async def _overview(request: web.Request) -> web.Response:
    closed = request.query.get("closed", "").lower() in ("true", "1")
    async with context(request).database.read() as session:
        found = await schedules.overview(session, now_ms(), request.query.get("timezone"), closed_only=closed)
    return answer({"data": found, "next_cursor": None, "total": len(found)})
