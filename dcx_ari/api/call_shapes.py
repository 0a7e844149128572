"""Shapes of calls and what belongs to them, for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcx_ari.api.routes import Param
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, Schema, fields, list_of, nullable
from dcx_ari.services.call_filters import FILTERS
from dcx_ari.services.calls import SORTS

OBJECT: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": TEXT}
_WHOLE = ("number_id", "campaign_id", "traffic_source_id", "buyer_id", "group_id", "flow_id", "flow_version")
_NAMES = ("number", "campaign", "traffic_source", "buyer", "group", "flow")
_MOMENTS = ("answered_at", "connected_at", "ended_at", "converted_at")
_TEXTS = (
    "failure_reason",
    "outcome",
    "caller_state",
    "caller_city",
    "ended_by",
    "node_id",
    "channel_id",
    "sip_call_id",
)
_COUNTS = ("talk_ms", "billable_ms", "revenue_cents", "payout_cents", "cost_cents")
_LOCAL = ("local_day", "local_hour", "local_weekday", "local_minute", "cause", "config_version")

_CALL: Mapping[str, Schema] = {
    **dict.fromkeys(("id", "status", "direction", "dialled", "caller", "caller_name", "worker", "stage"), TEXT),
    "started_at": MOMENT,
    **{name: nullable(NUMBER) for name in (*_WHOLE, *_LOCAL)},
    **{name: nullable(TEXT) for name in (*_NAMES, *_TEXTS)},
    **{name: nullable(MOMENT) for name in _MOMENTS},
    **dict.fromkeys(_COUNTS, NUMBER),
    **dict.fromkeys(("converted", "source_converted", "test"), YES_NO),
}
_ALWAYS = ("id", "status", "direction", "caller", "started_at", "talk_ms")


def _object(properties: Mapping[str, Schema], required: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


LISTED = _object({**_CALL, "tags": TEXTS}, _ALWAYS)
"""A call in a list. Whoever is tied to a buyer or a source does not get all of it."""
TAG = fields(id=NUMBER, name=TEXT, color=TEXT, created_by=TEXT, created_at=MOMENT)
TAGS = fields(data={"type": "array", "items": TAG})
NOTE = fields(id=NUMBER, call_id=TEXT, text=TEXT, created_by=TEXT, created_at=MOMENT)
HOLD = fields(call_id=TEXT, reason=TEXT, created_by=TEXT, created_at=MOMENT)
RECORDING = _object(
    {
        **dict.fromkeys(("id", "call_id", "state"), TEXT),
        **{name: nullable(TEXT) for name in ("leg_id", "path", "sha256", "error", "delete_reason")},
        **{name: nullable(NUMBER) for name in ("size_bytes", "duration_ms")},
        "channels": NUMBER,
        **{name: nullable(MOMENT) for name in ("started_at", "ended_at", "deleting_at", "deleted_at")},
        "pauses": {"type": "array"},
    },
    ("id", "call_id", "state"),
)
_LIST: Schema = {"type": "array", "items": OBJECT}
CALL = _object(
    {
        **_CALL,
        **dict.fromkeys(("tags", "notes", "callbacks", "legs", "events", "money", "recordings"), _LIST),
        **{name: nullable(OBJECT) for name in ("decision", "legal_hold", "contact")},
        **dict.fromkeys(("facts", "stage_data", "headers"), OBJECT),
        "postback_key": nullable(TEXT),
    },
    ("id", "status", "started_at", "recordings"),
)
"""A call with everything that belongs to it."""
CALLBACK = fields(
    id=NUMBER,
    phone_number=TEXT,
    due_at=MOMENT,
    priority=TEXT,
    status=TEXT,
    assigned_to=nullable(TEXT),
    notes=TEXT,
    call_id=nullable(TEXT),
    campaign_id=nullable(NUMBER),
    campaign=nullable(TEXT),
    retry=YES_NO,
    overdue=YES_NO,
    created_by=TEXT,
    created_at=MOMENT,
    updated_at=MOMENT,
    version=NUMBER,
    completed_at=nullable(MOMENT),
    outcome=nullable(TEXT),
    reminded_at=nullable(MOMENT),
)


def page_of(item: Schema, **more: Schema) -> dict[str, Any]:
    """A page of calls: as every list, and whether the total is exact."""
    shape = list_of(item)
    shape["properties"] = {**shape["properties"], "total_exact": YES_NO, **more}
    shape["required"] = [*shape["required"], "total_exact", *more]
    return shape


PAGING = {
    "limit": Param("Most rows, up to 1000", {"type": "integer", "minimum": 1, "maximum": 1000}),
    "cursor": Param("Where the next page begins, from next_cursor"),
}
CALL_QUERY: Mapping[str, Param] = {
    **{name: Param(each.help) for name, each in FILTERS.items()},
    "q": Param("Search: caller's number or name, beginning of the call's id"),
    "sort_by": Param("Newest first unless given", {"type": "string", "enum": list(SORTS)}),
    "sort_order": Param("asc or desc", {"type": "string", "enum": ["asc", "desc"]}),
    "count": Param("false: leave the total out (-1), which is quicker", YES_NO),
    **PAGING,
}
"""Query of everything that lists calls."""
