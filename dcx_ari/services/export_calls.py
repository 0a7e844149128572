"""The call log as a CSV file, a part at a time, made for millions of calls: columns at a time, in plain lists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import call_conditions, call_filters
from dcx_ari.services.call_view import View, view_of
from dcx_ari.services.calls import REFS, SORTS
from dcx_ari.services.csv_text import escaped
from dcx_ari.services.errors import UnknownKey
from dcx_ari.services.find import keys_of
from dcx_ari.services.listing import Query
from dcx_ari.services.resources import RESOURCES, ref_name
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call, Recording

CHUNK = 4_000
_TIMES = ("started_at", "answered_at", "connected_at", "ended_at", "converted_at")
_FLAGS = ("converted", "source_converted", "test")
_NUMBERS = ("caller", "dialled")
_TEXTS = ("caller_name", "caller_state", "caller_city", "outcome", "failure_reason")
_COLUMNS = (
    *("id", "started_at", "answered_at", "connected_at", "ended_at", "status", "direction", "caller", "caller_name"),
    *("caller_state", "caller_city", "dialled", "number_id", "campaign_id", "traffic_source_id", "buyer_id"),
    *("group_id", "talk_ms", "billable_ms", "revenue_cents", "payout_cents", "cost_cents", "converted"),
    *("converted_at", "source_converted", "outcome", "failure_reason", "ended_by", "cause", "test"),
)
Column = Sequence[Any]
Names = dict[str, dict[int, str]]


async def export_calls(database: Database, query: Query) -> AsyncIterator[bytes]:
    """The calls that `query` asks for (its limit and cursor aside), header first, newest first unless it says other.

    Raises UnknownKey, Invalid before the first part.
    """
    names: Names = {column: {} for column in REFS if column in _COLUMNS}
    part = await _fetched(database, query, names, None)
    yield await asyncio.to_thread(_text, part, names, first=True)
    while part.last is not None:
        part = await _fetched(database, query, names, part.last)
        yield await asyncio.to_thread(_text, part, names, first=False)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of the log; `last` is the place behind which the next part begins, None at the end."""

    rows: Sequence[Any]
    view: View
    last: tuple[Any, str] | None


async def _fetched(database: Database, query: Query, names: Names, last: tuple[Any, str] | None) -> _Part:
    async with database.read() as session:
        view = view_of(session)
        statement, sorted_by = await _statement(session, query, view, last)
        rows = (await (await session.connection()).execute(statement)).all()
        await _look_up(session, names, rows)
    return _Part(rows, view, (getattr(rows[-1], sorted_by), rows[-1].id) if len(rows) == CHUNK else None)


async def _statement(
    session: AsyncSession, query: Query, view: View, last: tuple[Any, str] | None
) -> tuple[Select[Any], str]:
    """The next part, and the column that it is sorted by."""
    name, descending = ("started_at", True) if query.sort_by == "id" else (query.sort_by, query.descending)
    if name not in SORTS or SORTS[name] in view.hidden:
        known = [each for each, column in SORTS.items() if column not in view.hidden]
        raise UnknownKey("sort_by", f"{name!r} is not one of {', '.join(known)}")
    by: Any = col(getattr(Call, SORTS[name]))
    where = await call_filters.conditions(session, query.filters, view, in_order=True)
    if query.search.strip():
        where.append(call_conditions.search(query.search))
    if last is not None:
        at, call_id = last
        within = (by <= at, or_(by < at, col(Call.id) < call_id)) if descending else None
        where.append(and_(*(within or (by >= at, or_(by > at, col(Call.id) > call_id)))))
    order = [each.desc() if descending else each.asc() for each in (by, col(Call.id))]
    columns = [getattr(Call, column) for column in _COLUMNS]
    return select(*columns, _recording()).where(*where).order_by(*order).limit(CHUNK), SORTS[name]


def _recording() -> Any:
    """The id of the call's recording, if it can be listened to."""
    recorded = col(Recording.call_id) == col(Call.id)
    there = (col(Recording.state) == "ready", col(Recording.deleting_at).is_(None))
    return select(func.min(Recording.id)).where(recorded, *there).scalar_subquery().label("recording")


async def _look_up(session: AsyncSession, names: Names, rows: Sequence[Any]) -> None:
    """Add the keys of the rows that these calls name for the first time."""
    for column, known in names.items():
        place = _COLUMNS.index(column)
        unknown = {row[place] for row in rows} - known.keys() - {None}
        if unknown:
            known.update(dict.fromkeys(unknown, ""))  # those that are deleted have no name any more
            found = await keys_of(session, RESOURCES[REFS[column]], unknown)
            known.update({row_id: quoted(key) for row_id, key in found.items()})


def _text(part: _Part, names: Names, *, first: bool) -> bytes:
    """Cells that may hold anything are quoted where they need it; the others are joined as they are."""
    rows, view = part.rows, part.view
    by_name = dict(zip((*_COLUMNS, "recording"), zip(*rows, strict=True), strict=True)) if rows else {}
    shown: dict[str, Column] = {}
    for name in (*_COLUMNS, "recording"):
        values = by_name.get(name, ())
        shown[name] = _cells(name, values)
        if name in names:
            keys = names[name]
            shown[ref_name(name)] = [keys[value] if value is not None else "" for value in values]
        if name == "talk_ms":
            shown["duration_s"] = [f"{value / 1000:.3f}" for value in values]
    shown = {name: column for name, column in shown.items() if name not in view.hidden}
    lines = [",".join(row) for row in zip(*shown.values(), strict=True)]
    return "\r\n".join([*([",".join(shown)] if first else []), *lines, ""]).encode()


def _cells(name: str, values: Column) -> Column:
    if name in _TIMES:
        tails = _tails()
        return [_minute(value // 60_000) + tails[value % 60_000] if value is not None else "" for value in values]
    if name in _FLAGS:
        return ["true" if value else "false" for value in values]
    if name in _NUMBERS:
        return [value if value[:1] == "+" and value[1:].isdecimal() else quoted(value) for value in values]
    if name in _TEXTS:
        return [quoted(value) if value else "" for value in values]
    return ["" if value is None else str(value) for value in values]


def quoted(text: str) -> str:
    """The cell as csv.writer writes it, a formula made harmless."""
    made = escaped(text)
    return f'"{made.replace(_QUOTE, _QUOTE * 2)}"' if _SPECIAL.search(made) else made


_QUOTE = '"'
_SPECIAL = re.compile(r'[,"\r\n]')


@lru_cache(maxsize=4_096)
def _minute(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%M:}"


@lru_cache(maxsize=1)
def _tails() -> list[str]:
    """What follows the minute in a time, for each of its milliseconds: the whole time is as `render.rfc3339` has it."""
    return [f"{ms // 1000:02d}.{ms % 1000:03d}Z" for ms in range(60_000)]
