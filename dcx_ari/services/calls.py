"""The call log: lists, newest first, and one call with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, and_, func, or_, true
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import call_conditions, call_filters
from dcx_ari.services.call_view import View, view_of
from dcx_ari.services.errors import Invalid, NotFound, UnknownKey
from dcx_ari.services.find import keys_of
from dcx_ari.services.listing import MAX_LIMIT, Query, decode_cursor, encode_cursor
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES, ref_name
from dcx_ari.store import models as m
from dcx_ari.store.ledger.models import MoneyEntry
from dcx_ari.store.models.calls import Call, CallEvent, Leg, Recording

COUNT_UP_TO = 100_000
"""Matches that are counted; of more it is said that there are more."""

REFS: Mapping[str, str] = {
    "number_id": "numbers",
    "campaign_id": "campaigns",
    "traffic_source_id": "sources",
    "buyer_id": "buyers",
    "group_id": "groups",
    "flow_id": "flows",
}
SORTS: Mapping[str, str] = {
    **{name: name for name in ("started_at", "talk_ms", "revenue_cents", "payout_cents", "cost_cents", "caller")},
    "duration": "talk_ms",
    "revenue": "revenue_cents",
    "payout": "payout_cents",
    "cost": "cost_cents",
}
_LIST_OMITS = ("stage_data", "decision", "headers", "postback_key", "tags")
_LISTED = tuple(name for name in Call.model_fields if name not in _LIST_OMITS)
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"  # in the order of every collation


@dataclass(frozen=True, slots=True)
class CallPage:
    """One page. `total` counts the matches, up to `COUNT_UP_TO`; `exact` is false where there are more."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    total: int
    exact: bool = True


async def list_calls(session: AsyncSession, query: Query, *, count: bool = True) -> CallPage:
    """Newest first, or by a column of `SORTS`. Without `count` the total is -1 unless it is plain to see.

    Raises UnknownKey for a filter or column that does not exist, Invalid for a value that does not fit.
    """
    limit = query.limit or MAX_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    view = view_of(session)
    ids = await _ids(session, query, view, limit + 1)
    more = len(ids) > limit
    found = await _rows(session, [each[0] for each in ids[:limit]])
    cursor = encode_cursor(ids[limit - 1][1], ids[limit - 1][0]) if more else None
    total, exact = -1, False
    if query.cursor is None and not more:
        total, exact = len(found), True
    elif count:
        total = await count_calls(session, query)
        exact = total < COUNT_UP_TO
    names = await _names(session, found)
    tags = await _tag_names(session, [row["id"] for row in found])
    items = [view.shown({**_columns(row, names), "tags": tags.get(row["id"], [])}) for row in found]
    return CallPage(items, cursor, total, exact)


async def count_calls(session: AsyncSession, query: Query) -> int:
    """How many calls match, `COUNT_UP_TO` at most."""
    conditions = await conditions_of(session, query, view_of(session))
    matching = select(true()).select_from(Call).where(*conditions).limit(COUNT_UP_TO)
    return int((await session.exec(select(func.count()).select_from(matching.subquery()))).one())


async def matching_ids(session: AsyncSession, query: Query, most: int) -> list[str]:
    """Ids of the newest calls that match, for doing something with all of them. Raises Invalid for more than `most`."""
    found = await _ids(session, query, view_of(session), most + 1)
    if len(found) > most:
        raise Invalid("filter", f"matches more than {most} calls: narrow it down")
    return [each[0] for each in found]


async def conditions_of(session: AsyncSession, query: Query, view: View, *, in_order: bool = False) -> list[Any]:
    """For `where(…)`: filters, search and what the asker may see. Raises UnknownKey, Invalid."""
    found = await call_filters.conditions(session, query.filters, view, in_order=in_order)
    return [*found, call_conditions.search(query.search)] if query.search.strip() else found


async def _ids(session: AsyncSession, query: Query, view: View, limit: int) -> list[tuple[str, Any]]:
    """Ids and sorted values of a page: all from `ix_calls_log`, so that only the page's own rows are read."""
    name, descending = ("started_at", True) if query.sort_by == "id" else (query.sort_by, query.descending)
    if name not in SORTS or SORTS[name] in view.hidden:
        known = [each for each, column in SORTS.items() if column not in view.hidden]
        raise UnknownKey("sort_by", f"{name!r} is not one of {', '.join(known)}")
    column: Any = col(getattr(Call, SORTS[name]))
    conditions = await conditions_of(session, query, view, in_order=True)
    if query.cursor is not None:
        conditions.append(_after(column, query.cursor, descending=descending))
    order = [each.desc() if descending else each.asc() for each in (column, col(Call.id))]
    statement = select(Call.id, column).where(*conditions).order_by(*order).limit(limit)
    return [(row[0], row[1]) for row in (await session.exec(statement)).all()]


def _after(column: Any, cursor: str, *, descending: bool) -> Any:
    value, call_id = decode_cursor(cursor)
    kind: type = str if column.key == "caller" else int
    if type(value) is not kind or not isinstance(call_id, str):
        raise Invalid("cursor", "does not belong to this list")
    if descending:
        return and_(column <= value, or_(column < value, col(Call.id) < call_id))
    return and_(column >= value, or_(column > value, col(Call.id) > call_id))


async def _rows(session: AsyncSession, ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """What lists show of these calls, in the order of `ids`."""
    columns = [getattr(Call, name) for name in _LISTED]
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), 500):
        part = select_columns(*columns).where(col(Call.id).in_(ids[start : start + 500]))
        found.update({row["id"]: row for row in await _read(session, part)})
    return [found[each] for each in ids if each in found]


async def _read(session: AsyncSession, statement: Executable) -> Sequence[Mapping[str, Any]]:
    """Rows of single columns, by their names."""
    await session.flush()
    found = await (await session.connection()).execute(statement)
    return [dict(row) for row in found.mappings()]


async def find_call(session: AsyncSession, call_id: str) -> Call:
    """The call with this id, or the only one whose id begins so. Raises NotFound, Invalid."""
    text = call_id.strip().lower()
    if not (text.isascii() and text.replace("-", "").replace("_", "").isalnum() and len(text) <= 64):
        raise NotFound("call", f"there is no call {call_id!r}")
    mine = view_of(session).conditions()
    row = (await session.exec(select(Call).where(col(Call.id) == text, *mine))).first()
    if row is None and len(text) >= 6:
        found = (await session.exec(select(Call).where(*_begins(text), *mine).order_by(col(Call.id)).limit(2))).all()
        if len(found) > 1:
            raise Invalid("call", f"more than one call begins with {text!r}")
        row = found[0] if found else None
    if row is None:
        raise NotFound("call", f"there is no call {call_id!r}")
    return row


def _begins(text: str) -> list[Any]:
    """Ids that begin so, as a range of the primary key (`LIKE` alone would not use it)."""
    found = [col(Call.id) >= text, col(Call.id).startswith(text, autoescape=True)]
    short = text.rstrip(_LETTERS[-1])
    if short and short[-1] in _LETTERS:
        found.append(col(Call.id) < short[:-1] + _LETTERS[_LETTERS.index(short[-1]) + 1])
    return found


async def show_call(session: AsyncSession, call_id: str) -> dict[str, Any]:
    """A call with everything that belongs to it; the start of an id will do. Raises NotFound, Invalid."""
    view, row = view_of(session), await find_call(session, call_id)
    legs = sorted(await _of(session, Leg, Leg.call_id, row.id), key=_leg_order)
    if view.buyer_id is not None:
        legs = [leg for leg in legs if leg.buyer_id == view.buyer_id]
    names = await _names(session, [row], legs)
    columns = _columns(row, names)
    facts = columns.pop("tags")
    hold = await session.get(m.LegalHold, row.id)
    return view.shown(
        {
            **columns,
            "facts": facts,
            "tags": await tags_of(session, row.id),
            "notes": [_columns(each) for each in await _of(session, m.CallNote, m.CallNote.call_id, row.id)],
            "legal_hold": _columns(hold) if hold is not None else None,
            "contact": await _contact(session, row.caller),
            "callbacks": [_columns(each) for each in await _of(session, m.Callback, m.Callback.call_id, row.id)],
            "legs": [_leg(leg, names, view) for leg in legs],
            "events": await _events(session, row.id),
            "money": [_columns(each) for each in await _of(session, MoneyEntry, MoneyEntry.call_id, row.id)],
            "recordings": [
                recording_shown(each, view) for each in await _of(session, Recording, Recording.call_id, row.id)
            ],
        }
    )


async def _of(session: AsyncSession, model: Any, column: Any, call_id: str) -> Sequence[Any]:
    return (await session.exec(select(model).where(col(column) == call_id).order_by(model.id))).all()


async def _events(session: AsyncSession, call_id: str) -> list[dict[str, Any]]:
    found = select(CallEvent).where(col(CallEvent.call_id) == call_id).order_by(col(CallEvent.seq))
    return [
        {"at": plain("x_at", event.at), "seq": event.seq, "kind": event.kind, "data": event.data}
        for event in (await session.exec(found)).all()
    ]


async def _contact(session: AsyncSession, caller: str) -> dict[str, Any] | None:
    found = (await session.exec(select(m.Contact).where(col(m.Contact.phone_number) == caller))).first()
    return _columns(found) if found is not None else None


async def tags_of(session: AsyncSession, call_id: str) -> list[dict[str, Any]]:
    """The tags of a call, by name."""
    link, tag = m.CallSessionTag, m.CallTag
    found = (
        select_columns(col(tag.id), col(tag.name), col(tag.color), col(link.created_by), col(link.created_at))
        .join(link, col(link.tag_id) == col(tag.id))
        .where(col(link.call_session_id) == call_id)
        .order_by(col(tag.name))
    )
    return [{name: plain(name, value) for name, value in row.items()} for row in await _read(session, found)]


async def _tag_names(session: AsyncSession, ids: Sequence[str]) -> dict[str, list[str]]:
    link, tag = m.CallSessionTag, m.CallTag
    found: dict[str, list[str]] = {}
    for start in range(0, len(ids), 500):
        rows = await session.exec(
            select(link.call_session_id, tag.name)
            .join(tag, col(link.tag_id) == col(tag.id))
            .where(col(link.call_session_id).in_(ids[start : start + 500]))
            .order_by(col(tag.name))
        )
        for call_id, name in rows.all():
            found.setdefault(call_id, []).append(name)
    return found


def recording_shown(row: Recording, view: View) -> dict[str, Any]:
    """A recording as JSON values; the state of one whose audio is gone is `deleted`."""
    shown = _columns(row)
    if row.deleting_at is not None:
        shown["state"] = "deleted"
    if view.scoped:
        shown.pop("path")
    return shown


async def _names(session: AsyncSession, *lists: Iterable[Any]) -> dict[str, dict[int, str]]:
    rows = [row if isinstance(row, Mapping) else row.__dict__ for each in lists for row in each]
    wanted = {**REFS, "trunk_id": "trunks"}
    found: dict[str, dict[int, str]] = {}
    for column, target in wanted.items():
        ids = {row.get(column) for row in rows}
        found[column] = await keys_of(session, RESOURCES[target], [each for each in ids if each is not None])
    return found


def _leg_order(leg: Leg) -> tuple[int, int, str]:
    return leg.position, leg.dialled_at or 0, leg.id


def _leg(leg: Leg, names: Mapping[str, Mapping[int, str]], view: View) -> dict[str, Any]:
    shown = _columns(leg, names)
    if view.scoped:
        shown = {name: value for name, value in shown.items() if name not in ("trunk", "trunk_id", "group", "group_id")}
    return shown


def _columns(row: SQLModel | Mapping[str, Any], names: Mapping[str, Mapping[int, str]] | None = None) -> dict[str, Any]:
    """All columns; beside the id of a row of configuration its key, while it exists."""
    values = row if not isinstance(row, SQLModel) else {name: getattr(row, name) for name in type(row).model_fields}
    shown: dict[str, Any] = {}
    for name, value in values.items():
        shown[name] = plain("at_at" if name == "at" else name, value)
        if names is not None and name in names:
            shown[ref_name(name)] = names[name].get(value) if value is not None else None
    return shown
