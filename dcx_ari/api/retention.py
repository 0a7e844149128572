"""Retention rules of recordings, and their run."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.context import answer, context, writing
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services import retention
from dcx_ari.services.call_conditions import yes_no
from dcx_ari.services.errors import NotFound
from dcx_ari.services.retention_run import run

Days = Annotated[int, Meta(ge=0, le=36_500)]
Exceptions = dict[str, Days | Literal["forever"]]

_RULE = fields(
    id=NUMBER,
    campaign_id=nullable(NUMBER),
    campaign=nullable(TEXT),
    retention_days=nullable(NUMBER),
    exceptions={"type": "object"},
    always_record=nullable(YES_NO),
    version=NUMBER,
    created_at=MOMENT,
    updated_at=MOMENT,
)
_REPORT = fields(
    dry_run=YES_NO,
    looked_at=NUMBER,
    held=NUMBER,
    deleted=NUMBER,
    bytes=NUMBER,
    due_count=NUMBER,
    due={"type": "array", "items": {"type": "object"}},
    errors={"type": "array", "items": TEXT},
)


class NewRule(Body):
    """Without `campaign`: for all that have no rule of their own. `always_record` sets the campaign's `record`."""

    retention_days: Annotated[Days | None, Meta(description="null: forever")]
    campaign: int | str | UnsetType = UNSET
    exceptions: Exceptions | UnsetType = UNSET
    always_record: bool | UnsetType = UNSET


class RuleChange(Body):
    retention_days: Days | UnsetType | None = UNSET
    exceptions: Exceptions | UnsetType = UNSET
    always_record: bool | UnsetType = UNSET


def add_routes(app: web.Application) -> None:
    manage = partial(Route, permission="settings.manage", tag="Retention")
    base, one = "/api/recording-retention-rules", "/api/recording-retention-rules/{key}"
    declare(
        app,
        [
            manage(method="GET", path=base, handler=_index, summary="List retention rules", answer=list_of(_RULE)),
            manage(
                method="POST",
                path=base,
                handler=_add,
                summary="Make a retention rule",
                body=NewRule,
                answer=_RULE,
                status=201,
                refuses=(404, 409),
            ),
            manage(
                method="POST",
                path=f"{base}/run",
                handler=_run,
                summary="Delete what is due now; with dry_run only say what that is",
                query={"dry_run": Param("true: delete nothing", YES_NO)},
                answer=_REPORT,
            ),
            manage(method="GET", path=one, handler=_show, summary="Show a retention rule", answer=_RULE),
            manage(
                method="PATCH",
                path=one,
                handler=_change,
                summary="Change a retention rule",
                body=RuleChange,
                answer=_RULE,
            ),
            manage(method="DELETE", path=one, handler=_remove, summary="Remove a retention rule", status=204),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await retention.list_rules(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _add(request: web.Request) -> web.Response:
    body = given(await body_as(request, NewRule))
    async with writing(request) as session:
        return answer(await retention.add_rule(session, body, strict=True), 201)


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await retention.show_rule(session, request.match_info["key"]))


async def _change(request: web.Request) -> web.Response:
    body = given(await body_as(request, RuleChange))
    async with writing(request) as session:
        return answer(await retention.change_rule(session, request.match_info["key"], body, strict=True))


async def _remove(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await retention.remove_rule(session, request.match_info["key"])
    return web.Response(status=204)


async def _run(request: web.Request) -> web.Response:
    here = context(request)
    if here.home is None:
        raise NotFound("recording", "this API keeps no recordings")
    dry: Any = request.query.get("dry_run")
    report = await run(here.database, here.home, now_ms(), dry_run=dry is not None and yes_no("dry_run", [dry]))
    return answer(report.as_json())
