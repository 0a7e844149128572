"""Reports over the call log, as JSON or as a file."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from dcx_ari.api.context import answer, context, query_of
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import DAY, MOMENT, NUMBER, TEXT, fields
from dcx_ari.services.call_conditions import yes_no
from dcx_ari.services.call_filters import FILTERS
from dcx_ari.services.call_view import view_of
from dcx_ari.services.dashboard import now_ms
from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.report_files import MEDIA, file_name, format_of, render
from dcx_ari.services.reports import RANGES, Spec, report, spec_of

_OWN = ("group_by", "date_range", "from_date", "to_date", "number_cost", "format")
_FIGURES = {"type": "object", "additionalProperties": {"type": ["integer", "number", "string", "null"]}}
_REPORT = fields(
    group_by={"type": "array", "items": TEXT},
    from_date=DAY,
    to_date=DAY,
    timezone=TEXT,
    updated_at=MOMENT,
    columns={"type": "array", "items": TEXT},
    data={"type": "array", "items": _FIGURES},
    totals=_FIGURES,
)
RANGE = {
    "date_range": Param("Used where no dates are given.", {"type": "string", "enum": list(RANGES)}),
    "from_date": Param("First day, on the company's clock.", DAY),
    "to_date": Param("Last day, it included.", DAY),
}
_DATES = ("date", "date_from", "date_to")
_QUERY = {
    "group_by": Param(f"One or two of {', '.join(DIMENSIONS)}, with a comma. Default: buyer."),
    **RANGE,
    "sort_by": Param("A column of the report. Default: by time, or the most calls first."),
    "sort_order": Param("Default: desc.", {"type": "string", "enum": ["asc", "desc"]}),
    "limit": Param("Most rows; 0 (default): all.", {**NUMBER, "minimum": 0, "maximum": 99_999}),
    "number_cost": Param("Add the rent of the numbers, by their calls.", {"type": "boolean"}),
    "format": Param("Default: json.", {"type": "string", "enum": ["json", "csv", "excel", "xlsx", "pdf"]}),
    **{name: Param(each.help) for name, each in FILTERS.items() if name not in _DATES},
}


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/calls/report",
                handler=_report,
                summary="Calls of a range of days, summed by one or two dimensions",
                permission="reports.view",
                tag="reports",
                query=_QUERY,
                open_query=True,
                answer=_REPORT,
            )
        ],
    )


async def _report(request: web.Request) -> web.Response:
    spec, wanted = asked(request), request.query.get("format", "json").strip().lower()
    kind = None if wanted == "json" else format_of(wanted)
    async with context(request).database.read() as session:
        made = await report(session, spec, view_of(session), now_ms())
    headers = {"Cache-Control": "private, max-age=15"}
    if kind is None:
        return answer(made.as_json(), headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{file_name(made, kind)}"'
    charset = "utf-8" if kind == "csv" else None
    body = await asyncio.to_thread(render, made, kind)  # a workbook takes a while, and calls go on here
    return web.Response(body=body, content_type=MEDIA[kind][1], charset=charset, headers=headers)


def asked(request: web.Request) -> Spec:
    """The report that a query asks for; what is none of its own words is a filter of calls. Raises Invalid."""
    query = query_of(request, limit=0)
    own = {name: request.query[name].strip() for name in _OWN if name in request.query}
    given: dict[str, Any] = {name: own[name] for name in ("date_range", "from_date", "to_date") if own.get(name)}
    if "number_cost" in own:
        given["number_cost"] = yes_no("number_cost", [own["number_cost"]])
    return spec_of(
        own.get("group_by") or "buyer",
        filters={name: values for name, values in query.filters.items() if name not in _OWN},
        sort_by=query.sort_by if "sort_by" in request.query else "",
        descending=query.descending if "sort_order" in request.query else True,
        limit=query.limit or 0,
        **given,
    )
