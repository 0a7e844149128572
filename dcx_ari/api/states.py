"""Calls that met a rule of their state."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api.context import context, page_answer
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, fields, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services import state_alerts
from dcx_ari.services.errors import Invalid, UnknownKey

_RULE = fields(
    action={"type": "string", "enum": ["block", "require_consent"]},
    rule_id=nullable(NUMBER),
    consent_type=nullable(TEXT),
    buyer_id=nullable(NUMBER),
    buyer=nullable(TEXT),
)
_ALERT = fields(
    call_id=TEXT,
    started_at=MOMENT,
    caller=TEXT,
    state_code=TEXT,
    rules={"type": "array", "items": _RULE},
)
_QUERY = {
    "days": Param("How far back, 1 to 365.", {"type": "integer", "default": 30}),
    "limit": Param("Most calls on a page, 1 to 500.", {"type": "integer", "default": 50}),
    "cursor": Param("The next_cursor of the page before."),
}


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/state-rules/alerts",
                handler=_alerts,
                summary="Calls that met a rule of their state: blocked, or consent required; newest first.",
                permission="states.read",
                tag="state rules",
                query=_QUERY,
                answer=fields(data={"type": "array", "items": _ALERT}, next_cursor=nullable(TEXT)),
            ),
        ],
    )


async def _alerts(request: web.Request) -> web.Response:
    for name in request.query:
        if name not in _QUERY:
            raise UnknownKey(name, f"is not one of {', '.join(_QUERY)}")
    days, limit = _number(request, "days", 30), _number(request, "limit", 50)
    cursor = request.query.get("cursor")
    async with context(request).database.read() as session:
        return page_answer(await state_alerts.alerts(session, now_ms(), days=days, limit=limit, cursor=cursor))


def _number(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Invalid(name, "must be a whole number")
    return int(text)
