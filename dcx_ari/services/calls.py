"""The call log: lists, newest first, and one call with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from sqlalchemy import and_, or_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid, NotFound, UnknownKey
from dcx_ari.services.find import find_id, keys_of
from dcx_ari.services.listing import MAX_LIMIT, Page, Query, decode_cursor, encode_cursor, moment_of
from dcx_ari.services.parse import suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES, ref_name
from dcx_ari.store.fields import e164
from dcx_ari.store.models.calls import Call, CallEvent, CallStatus, Leg, Recording

REFS: Mapping[str, str] = {
    "number_id": "numbers",
    "campaign_id": "campaigns",
    "traffic_source_id": "sources",
    "buyer_id": "buyers",
    "group_id": "groups",
    "flow_id": "flows",
}
_PLAIN = ("direction", "failure_reason", "caller_state", "worker", "ended_by")
_YES_NO = ("converted", "test", "completed", "in_progress")
_TIMES = ("date", "date_from", "date_to")
FILTERS = ("status", "caller", "dialled", *_PLAIN, *_YES_NO, *_TIMES, *REFS, *map(ref_name, REFS), "source")
_LIST_OMITS = ("stage_data", "decision", "headers", "postback_key")


async def list_calls(session: AsyncSession, query: Query) -> Page:
    """Newest first. `total` is -1: counting a log of millions is not what a page should cost."""
    conditions = [await _condition(session, key, list(values)) for key, values in query.filters.items()]
    if query.cursor is not None:
        at, call_id = decode_cursor(query.cursor)
        if type(at) is not int or not isinstance(call_id, str):
            raise Invalid("cursor", "does not belong to this list")
        before = and_(col(Call.started_at) == at, col(Call.id) < call_id)
        conditions.append(or_(col(Call.started_at) < at, before))
    limit = query.limit or MAX_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    newest = select(Call).where(*conditions).order_by(col(Call.started_at).desc(), col(Call.id).desc())
    rows = list((await session.exec(newest.limit(limit + 1))).all())
    more = len(rows) > limit
    rows = rows[:limit]
    names = await _names(session, rows)
    cursor = encode_cursor(rows[-1].started_at, rows[-1].id) if more else None
    return Page([_call(row, names, omit=_LIST_OMITS) for row in rows], cursor, -1)


async def show_call(session: AsyncSession, call_id: str) -> dict[str, Any]:
    """A call with its legs, events and recordings; the start of an id will do. Raises NotFound, Invalid."""
    text = call_id.strip()
    row = await session.get(Call, text) if text.isprintable() else None
    if row is None and len(text) >= 6 and text.isalnum():
        found = (await session.exec(select(Call).where(col(Call.id).startswith(text)).limit(2))).all()
        if len(found) > 1:
            raise Invalid("call", f"more than one call begins with {text!r}")
        row = found[0] if found else None
    if row is None:
        raise NotFound("call", f"there is no call {call_id!r}")
    legs = (await session.exec(select(Leg).where(col(Leg.call_id) == row.id))).all()
    events = select(CallEvent).where(col(CallEvent.call_id) == row.id).order_by(col(CallEvent.seq))
    recordings = select(Recording).where(col(Recording.call_id) == row.id).order_by(col(Recording.id))
    names = await _names(session, [row], legs)
    return {
        **_call(row, names),
        "legs": [_columns(leg, names) for leg in sorted(legs, key=_leg_order)],
        "events": [
            {"at": plain("x_at", event.at), "seq": event.seq, "kind": event.kind, "data": event.data}
            for event in (await session.exec(events)).all()
        ],
        "recordings": [_columns(each) for each in (await session.exec(recordings)).all()],
    }


async def _condition(session: AsyncSession, key: str, values: list[str]) -> Any:
    if key not in FILTERS:
        raise UnknownKey(key, f"is not a filter of calls{suggest(key, FILTERS)}")
    if key == "status":
        return col(Call.status).in_([_status(value) for value in values])
    if key in ("caller", "dialled"):
        return col(getattr(Call, key)).in_([_number(value) for value in values])
    if key in _PLAIN:
        return col(getattr(Call, key)).in_(values)
    if key in _YES_NO:
        return _yes_no(key, values[-1])
    if key in _TIMES:
        return _time(key, values[-1])
    column = "traffic_source_id" if key == "source" else key if key in REFS else f"{key}_id"
    ids = [await find_id(session, RESOURCES[REFS[column]], value) for value in values]
    # A deleted row is still named by the calls it had: its id may be asked for.
    asked = {int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 10}
    return col(getattr(Call, column)).in_(sorted({each for each in ids if each is not None} | asked))


def _status(value: str) -> str:
    name = value.strip().upper().replace("-", "_")
    name = "NO_ANSWER" if name == "MISSED" else name
    if name not in get_args(CallStatus):
        raise Invalid("status", f"{value!r} is not one of {', '.join(get_args(CallStatus))}")
    return name


def _number(value: str) -> str:
    text = value.strip()
    try:
        return e164(text if text.startswith("+") else f"+{text}")
    except ValueError:
        return text


def _yes_no(key: str, value: str) -> Any:
    if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise Invalid(key, "must be true or false")
    wanted = value.lower() in ("true", "1", "yes")
    if key == "in_progress":
        return col(Call.ended_at).is_(None) if wanted else col(Call.ended_at).is_not(None)
    if key == "completed":
        return col(Call.status) == "COMPLETED" if wanted else col(Call.status) != "COMPLETED"
    return col(getattr(Call, key)).is_(wanted)


def _time(key: str, value: str) -> Any:
    at = moment_of(key, value)
    if key == "date_from":
        return col(Call.started_at) >= at
    if key == "date_to":
        return col(Call.started_at) < at
    return and_(col(Call.started_at) >= at, col(Call.started_at) < at + 86_400_000)


async def _names(session: AsyncSession, *lists: Iterable[Any]) -> dict[str, dict[int, str]]:
    rows = [row for each in lists for row in each]
    wanted = {**REFS, "trunk_id": "trunks"}
    found: dict[str, dict[int, str]] = {}
    for column, target in wanted.items():
        ids = {getattr(row, column, None) for row in rows}
        found[column] = await keys_of(session, RESOURCES[target], [each for each in ids if each is not None])
    return found


def _leg_order(leg: Leg) -> tuple[int, int, str]:
    return leg.position, leg.dialled_at or 0, leg.id


def _call(row: Call, names: Mapping[str, Mapping[int, str]], omit: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: value for name, value in _columns(row, names).items() if name not in omit}


def _columns(row: SQLModel, names: Mapping[str, Mapping[int, str]] | None = None) -> dict[str, Any]:
    """All columns; beside the id of a row of configuration its key, while it exists."""
    shown: dict[str, Any] = {}
    for name in type(row).model_fields:
        value = getattr(row, name)
        shown[name] = plain(name, value)
        if names is not None and name in names:
            shown[ref_name(name)] = names[name].get(value) if value is not None else None
    return shown
