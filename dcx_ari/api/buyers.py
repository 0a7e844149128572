"""What only buyers have: how their calls sell, and their usage day by day."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import DAY, MOMENT, NUMBER, TEXT, fields, list_of, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services.conversion_stats import conversion_stats
from dcx_ari.services.usage_snapshots import snapshots

_RATE = {"type": ["number", "null"], "minimum": 0}
_SPAN = fields(calls=NUMBER, conversions=NUMBER, conversion_rate=_RATE, revenue_cents=NUMBER)
_CAP = fields(used=NUMBER, held=NUMBER, limit=nullable(NUMBER), remaining=nullable(NUMBER))
_STATS = fields(
    buyer_id=NUMBER,
    buyer=TEXT,
    timezone=TEXT,
    today=_SPAN,
    month=_SPAN,
    last_30_days=_SPAN,
    total=_SPAN,
    caps=fields(daily=_CAP, monthly=_CAP, total=_CAP),
)
_DAY = fields(snapshot_date=DAY, calls_count=NUMBER, conversions_count=NUMBER, revenue_cents=NUMBER, created_at=MOMENT)


def add_routes(app: web.Application) -> None:
    one = "/api/buyers/{key}"
    declare(
        app,
        [
            Route(
                method="GET",
                path=f"{one}/conversion-stats",
                handler=_stats,
                summary="Calls, conversions, rate and revenue of today, the month, 30 days and ever; what caps leave.",
                permission="buyers.read",
                tag="buyers",
                answer=_STATS,
            ),
            Route(
                method="GET",
                path=f"{one}/snapshots",
                handler=_snapshots,
                summary="The buyer's usage per UTC day, newest first.",
                permission="buyers.read",
                tag="buyers",
                query={"from_date": Param("First day.", DAY), "to_date": Param("Last day.", DAY)},
                answer=list_of(_DAY),
            ),
        ],
    )


async def _stats(request: web.Request) -> web.Response:
    here = context(request)
    async with here.database.read() as session:
        return answer(await conversion_stats(session, request.match_info["key"], here.zone.key, now_ms()))


async def _snapshots(request: web.Request) -> web.Response:
    query = request.query
    async with context(request).database.read() as session:
        found = await snapshots(session, request.match_info["key"], query.get("from_date"), query.get("to_date"))
    return answer({"data": found, "next_cursor": None, "total": len(found)})
