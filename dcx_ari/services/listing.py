"""Lists of rows: filters, text search, sort, pages by key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Boolean, Integer, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find_id, names_of
from dcx_ari.services.parse import suggest
from dcx_ari.services.render import extra, render
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.store.fields import moment
from dcx_ari.store.types import Json

MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """What to list. `filters`: all keys must match, each with any of its values; `limit` None = all rows."""

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    search: str = ""
    sort_by: str = "id"
    descending: bool = False
    limit: int | None = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `next_cursor` asks for the next. `total` counts all rows that match."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    total: int


async def list_rows(session: AsyncSession, resource: Resource, query: Query) -> Page:
    """Raises UnknownKey for a filter or column that does not exist, Invalid for a value that does not fit."""
    model: Any = resource.model
    conditions = await _conditions(session, resource, query)
    total = (await session.exec(select(func.count()).select_from(model).where(*conditions))).one()
    column = _sort_column(resource, query.sort_by)
    if query.cursor is not None:
        conditions.append(_after(model, column, query))
    order = [column.desc(), model.id.desc()] if query.descending else [column.asc(), model.id.asc()]
    statement = select(model).where(*conditions).order_by(*order)
    if query.limit is not None:
        if not 1 <= query.limit <= MAX_LIMIT:
            raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
        statement = statement.limit(query.limit + 1)
    rows = list((await session.exec(statement)).all())
    more = query.limit is not None and len(rows) > query.limit
    rows = rows[: query.limit] if more else rows
    names = await names_of(session, resource, rows)
    cursor = encode_cursor(getattr(rows[-1], column.key), rows[-1].id) if more else None
    more_of = await resource.more(session, rows) if resource.more is not None else {}
    items = [{**render(resource, row, names), **extra(more_of.get(row.id, {}))} for row in rows]
    return Page(items, cursor, total)


def filter_names(resource: Resource) -> list[str]:
    """Every key that a list can be filtered by."""
    table = resource.model.metadata.tables[resource.table]
    columns = [c.name for c in table.columns if not isinstance(c.type, Json)]
    shown = [name for name in columns if name not in resource.secrets and not name.endswith("_at")]
    return [*shown, *map(ref_name, resource.refs), "created_from", "created_to"]


async def _conditions(session: AsyncSession, resource: Resource, query: Query) -> list[Any]:
    model: Any = resource.model
    known = filter_names(resource)
    conditions: list[Any] = []
    for key, values in query.filters.items():
        if key not in known:
            raise UnknownKey(key, f"is not a filter of {resource.name}{suggest(key, known)}")
        if key in ("created_from", "created_to"):
            at = moment_of(key, values[-1])
            conditions.append(model.created_at >= at if key == "created_from" else model.created_at < at)
            continue
        column = next((c for c in resource.refs if key in (c, ref_name(c))), None)
        if column is not None:
            target = RESOURCES[resource.refs[column]]
            ids = [await find_id(session, target, value) for value in values]
            conditions.append(col(getattr(model, column)).in_([each for each in ids if each is not None]))
        else:
            conditions.append(getattr(model, key).in_([_typed(resource, key, value) for value in values]))
    if query.search:
        conditions.append(_search(resource, query.search))
    return conditions


def moment_of(key: str, value: str) -> int:
    """Epoch ms from a date (UTC) or a time with an offset. Raises Invalid."""
    try:
        return TypeAdapter(int).validate_python(moment(f"{value}T00:00:00Z" if len(value) == 10 else value))
    except ValueError as error:
        rule = "must be a date or a time" if isinstance(error, ValidationError) else str(error)
        raise Invalid(key, rule) from None


def _typed(resource: Resource, key: str, value: str) -> Any:
    """The filter's value as the column's type; a + that a URL turned into a space is put back."""
    if key == "phone_number":
        return f"+{value.strip().removeprefix('+')}"
    column = resource.model.metadata.tables[resource.table].columns[key]
    try:
        return TypeAdapter(_kind(column)).validate_python(value)
    except ValidationError:
        raise Invalid(key, f"{value!r} is not a value of this column") from None


def _kind(column: Any) -> type:
    """The Python type of a column that is not JSON."""
    if isinstance(column.type, Boolean):
        return bool
    return int if isinstance(column.type, Integer) else str


def _search(resource: Resource, text: str) -> Any:
    model: Any = resource.model
    table = resource.model.metadata.tables[resource.table]
    texts = [c for c in table.columns if _kind(c) is str and not isinstance(c.type, Json)]
    names = [c.name for c in texts if c.name not in resource.secrets]
    return or_(*(getattr(model, name).icontains(text, autoescape=True) for name in names))


def _sort_column(resource: Resource, name: str) -> Any:
    table = resource.model.metadata.tables[resource.table]
    known = [c.name for c in table.columns if not c.nullable and not isinstance(c.type, Json)]
    if name not in known:
        raise UnknownKey("sort_by", f"{name!r} is not one of {', '.join(known)}")
    return getattr(resource.model, name)


def _after(model: Any, column: Any, query: Query) -> Any:
    value, row_id = decode_cursor(query.cursor or "")
    if type(value) is not _kind(column) or type(row_id) is not int:
        raise Invalid("cursor", "does not belong to this list")
    if query.descending:
        return or_(column < value, and_(column == value, model.id < row_id))
    return or_(column > value, and_(column == value, model.id > row_id))


def encode_cursor(value: Any, row_id: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, row_id]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[Any, Any]:
    """Raises Invalid."""
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise Invalid("cursor", "is not one that dcx gave out") from None
    return value, row_id
