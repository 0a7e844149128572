"""Lists of rows: filters, text search, sort, pages by key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, and_, func, or_
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import scope
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.filters import conditions, filter_names, kind_of
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.render import fetched, plain, reader
from dcx_ari.services.resources import Resource
from dcx_ari.store.fields import moment
from dcx_ari.store.types import Json

__all__ = ["MAX_LIMIT", "Page", "Query", "filter_names", "list_rows", "part", "sort_names", "view"]
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """What to list. `filters`: all keys must match, each with any of its values; `limit` None = all rows.

    `view` names a saved view to begin with: `services.views.with_view` puts it in.
    """

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    search: str = ""
    sort_by: str = "id"
    descending: bool = False
    limit: int | None = 100
    cursor: str | None = None
    view: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `next_cursor` asks for the next. `total` counts all rows that match."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    total: int


async def view(session: AsyncSession, resource: Resource, query: Query) -> Select[Any]:
    """The rows that a list shows, filtered and sorted, all pages of them.

    Each is made JSON values by `render.reader(resource).row(row)`; what `resource.more` works out is not in it.
    The CSV export uses this, so that it has what the list has. Only rows that the session's scope allows.
    Raises UnknownKey for a filter or column that does not exist, Invalid for a value that does not fit.
    """
    return _sorted(resource, query, await _narrowed(session, resource, query))


async def list_rows(session: AsyncSession, resource: Resource, query: Query) -> Page:
    """One page of `view`. Raises as it does."""
    if query.limit is not None and not 1 <= query.limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    narrowed = await _narrowed(session, resource, query)
    total = select(func.count()).select_from(resource.model).where(*narrowed)
    paged = _sorted(resource, query, narrowed).add_columns(total.scalar_subquery().label("total_of_view"))
    if query.cursor is not None:
        paged = paged.where(_after(resource, query))
    if query.limit is not None:
        paged = paged.limit(query.limit + 1)
    rows = await fetched(session, paged)
    count = rows[0][-1] if rows else 0
    if not rows and query.cursor is not None:
        count = (await session.exec(total)).one()
    more = query.limit is not None and len(rows) > query.limit
    rows = rows[: query.limit] if more else rows
    cursor = _cursor(query, getattr(rows[-1], query.sort_by), rows[-1].id) if more else None
    return Page(await shown_rows(session, resource, rows), cursor, count)


async def part(session: AsyncSession, resource: Resource, query: Query) -> tuple[list[dict[str, Any]], str | None]:
    """A page without its total, and where the next one begins: for whoever reads all of them. Raises as `view`."""
    limit = query.limit or MAX_LIMIT
    paged = (await view(session, resource, query)).limit(limit + 1)
    if query.cursor is not None:
        paged = paged.where(_after(resource, query))
    rows = await fetched(session, paged)
    cursor = _cursor(query, getattr(rows[limit - 1], query.sort_by), rows[limit - 1].id) if len(rows) > limit else None
    return await shown_rows(session, resource, rows[:limit]), cursor


async def shown_rows(session: AsyncSession, resource: Resource, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of `reader(resource).statement` as JSON values, with what `resource.more` works out."""
    read = reader(resource)
    values = [read.values(row) for row in rows]
    more_of = await resource.more(session, values) if resource.more is not None and rows else {}
    added = [more_of.get(each["id"], {}) for each in values]
    moments = [name for name in (added[0] if added else ()) if name.endswith("_at")]
    shown = [{**read.shown(each), **more} for each, more in zip(values, added, strict=True)]
    for row in shown if moments else ():
        row.update({name: plain(name, row[name]) for name in moments})
    return shown


def sort_names(resource: Resource) -> list[str]:
    """Every column that a list can be sorted by."""
    table = resource.model.metadata.tables[resource.table]
    return [c.name for c in table.columns if not isinstance(c.type, Json) and c.name not in resource.secrets]


async def _narrowed(session: AsyncSession, resource: Resource, query: Query) -> list[Any]:
    asked = await conditions(session, resource, query.filters, query.search)
    return [*asked, *scope.conditions(scope.scope_of(session), resource)]


def _sorted(resource: Resource, query: Query, narrowed: Sequence[Any]) -> Select[Any]:
    model: Any = resource.model
    column = _sort_column(resource, query.sort_by)
    empty_last = [column.is_(None)] if column.nullable else []
    order = [column.desc(), model.id.desc()] if query.descending else [column.asc(), model.id.asc()]
    return reader(resource).statement.where(*narrowed).order_by(*empty_last, *order)


def moment_of(key: str, value: str) -> int:
    """Epoch ms from a date (UTC) or a time with an offset. Raises Invalid."""
    try:
        return TypeAdapter(int).validate_python(moment(f"{value}T00:00:00Z" if len(value) == 10 else value))
    except ValueError as error:
        rule = "must be a date or a time" if isinstance(error, ValidationError) else str(error)
        raise Invalid(key, rule) from None


def _sort_column(resource: Resource, name: str) -> Any:
    known = sort_names(resource)
    if name not in known:
        raise UnknownKey("sort_by", f"{name!r} is not one of {', '.join(known)}{suggest(name, known)}")
    return getattr(resource.model, name)


def _cursor(query: Query, value: Any, row_id: int) -> str:
    """The place of a row in a list; it says by which column, so that it fits no other list."""
    return encode_cursor([query.sort_by, query.descending, value], row_id)


def _after(resource: Resource, query: Query) -> Any:
    """Behind the cursor's row in the order of the list; empty values come last in both directions."""
    model: Any = resource.model
    column = _sort_column(resource, query.sort_by)
    value, row_id = _place(query, column)
    behind = model.id < row_id if query.descending else model.id > row_id
    if value is None:
        return and_(column.is_(None), behind)
    further = column < value if query.descending else column > value
    after = or_(further, and_(column == value, behind))
    return or_(after, column.is_(None)) if column.nullable else after


def _place(query: Query, column: Any) -> tuple[Any, int]:
    """The value and the id that the cursor names. Raises Invalid for one of another list, or made up."""
    place, row_id = decode_cursor(query.cursor or "")
    check_text("cursor", place)
    fits = isinstance(place, list) and len(place) == 3 and place[:2] == [query.sort_by, query.descending]
    value = place[2] if fits else None
    known = type(value) is kind_of(column) or (value is None and column.nullable)
    if (
        not fits
        or not known
        or type(row_id) is not int
        or any(type(n) is int and abs(n) >= 2**63 for n in (value, row_id))
    ):
        raise Invalid("cursor", "does not belong to this list")
    return value, row_id


def encode_cursor(value: Any, row_id: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, row_id]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[Any, Any]:
    """Raises Invalid."""
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise Invalid("cursor", "is not one that dcx gave out") from None
    return value, row_id
