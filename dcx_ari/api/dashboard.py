"""Figures for the front page: today beside yesterday, widgets, buyers, traffic sources."""

from __future__ import annotations

from email.utils import formatdate

from aiohttp import web

from dcx_ari.api.context import answer, context
from dcx_ari.api.reports import RANGE
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import DAY, MOMENT, NUMBER, TEXT, YES_NO, Schema, fields, nullable
from dcx_ari.services.call_view import view_of
from dcx_ari.services.dashboard import COMPARE, comparative_stats, now_ms, summary
from dcx_ari.services.performance import buyer_performance, traffic_source_performance

_FRESH = {"Cache-Control": "private, max-age=5"}
_COUNT = fields(calls=NUMBER, revenue=NUMBER, conversions=NUMBER)
_GROWTH = nullable({"type": "string", "pattern": "^[+-][0-9]+%$"})
_BOTH = fields(attempted=NUMBER, converted=NUMBER)
_HIDDEN = (
    *("converted", "conversion_percent", "revenue_cents", "payout_cents", "telephone_cost_cents", "profit_cents"),
    *("revenue_per_call_cents", "source_conversions", "buyer_conversions"),
)
_MAYBE = nullable({"type": "number"})


def add_routes(app: web.Application) -> None:
    declare(app, _ROUTES)


async def _comparative(request: web.Request) -> web.Response:
    given = {name: request.query.get(name, "") for name in ("date", "compare_date")}
    now = now_ms()
    async with context(request).database.read() as session:
        found = await comparative_stats(
            session,
            view_of(session),
            now,
            day=given["date"],
            compare_day=given["compare_date"],
            compare=request.query.get("compare", "full"),
        )
    return answer(found, headers={**_FRESH, "Last-Modified": formatdate(now / 1000, usegmt=True)})


async def _summary(request: web.Request) -> web.Response:
    given = {name: request.query[name] for name in RANGE if request.query.get(name)}
    async with context(request).database.read() as session:
        return answer(await summary(session, view_of(session), now_ms(), **given), headers=_FRESH)


async def _buyers(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await buyer_performance(session, view_of(session), now_ms()), headers=_FRESH)


async def _sources(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await traffic_source_performance(session, view_of(session), now_ms()), headers=_FRESH)


def _rows(optional: tuple[str, ...] = (), /, **columns: Schema) -> Schema:
    return fields(updated_at=MOMENT, data={"type": "array", "items": fields(optional, **columns)})


_ROUTES = (
    Route(
        method="GET",
        path="/api/dashboard/comparative-stats",
        handler=_comparative,
        summary="Calls, revenue (cents) and conversions of two days, and the growth between them",
        permission="reports.view",
        tag="dashboard",
        query={
            "date": Param("Day; default: today.", DAY),
            "compare_date": Param("Day to compare it with; default: the day before.", DAY),
            "compare": Param(
                "full: all of that day; elapsed: as much of it as has gone of the other.",
                {"type": "string", "enum": list(COMPARE)},
            ),
        },
        answer=fields(
            today=_COUNT, yesterday=_COUNT, delta=fields(calls=_GROWTH, revenue=_GROWTH, conversions=_GROWTH)
        ),
    ),
    Route(
        method="GET",
        path="/api/dashboard/summary",
        handler=_summary,
        summary="The widgets of a range of days: money, lengths, calls by status, what is up now",
        permission="reports.view",
        tag="dashboard",
        query=RANGE,
        answer=fields(
            _HIDDEN,
            from_date=DAY,
            to_date=DAY,
            timezone=TEXT,
            updated_at=MOMENT,
            calls=NUMBER,
            connected=NUMBER,
            converted=NUMBER,
            conversion_percent=_MAYBE,
            average_call_length_s=_MAYBE,
            revenue_cents=NUMBER,
            payout_cents=NUMBER,
            telephone_cost_cents=NUMBER,
            profit_cents=NUMBER,
            revenue_per_call_cents=_MAYBE,
            calls_by_status={"type": "array", "items": fields(status=TEXT, calls=NUMBER)},
            calls_in_progress=NUMBER,
            active_cc=fields(used=nullable(NUMBER), limit=nullable(NUMBER)),
            source_conversions=_BOTH,
            buyer_conversions=_BOTH,
        ),
    ),
    Route(
        method="GET",
        path="/api/dashboard/buyer-performance",
        handler=_buyers,
        summary="Buyers: yesterday, today, live, tier, average revenue, what is left of their caps",
        permission="reports.view",
        tag="dashboard",
        answer=_rows(
            buyer_id=NUMBER,
            buyer=TEXT,
            status=TEXT,
            tier=NUMBER,
            yesterday=NUMBER,
            today=NUMBER,
            live=NUMBER,
            concurrency_limit=nullable(NUMBER),
            converted=NUMBER,
            revenue_cents=NUMBER,
            average_revenue_cents=nullable(NUMBER),
            cap_remaining=nullable(NUMBER),
            maxed_out=YES_NO,
            closes_at=nullable(MOMENT),
        ),
    ),
    Route(
        method="GET",
        path="/api/dashboard/traffic-source-performance",
        handler=_sources,
        summary="Traffic sources: yesterday, today, attempted and converted, payout, what is left of the daily cap",
        permission="reports.view",
        tag="dashboard",
        answer=_rows(
            ("revenue_cents",),
            source_id=NUMBER,
            source=TEXT,
            status=TEXT,
            yesterday=NUMBER,
            today=NUMBER,
            live=NUMBER,
            connected=NUMBER,
            attempted=NUMBER,
            converted=NUMBER,
            revenue_cents=NUMBER,
            payout_cents=NUMBER,
            cap_remaining=nullable(NUMBER),
        ),
    ),
)
