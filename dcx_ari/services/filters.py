"""What a list is narrowed to: filters by column, by what a column points at, ranges of time, words to look for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import BigInteger, Boolean, Integer, and_, or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.dates import instant_of
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find_id
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.services.short_ids import id_of
from dcx_ari.services.times import zone_of
from dcx_ari.store.types import Json

EMPTY = "null"
"""As a filter's value: rows in which the column is empty."""

_MOST_WORDS = 10
_MOST_VALUES = 1_000


def filter_names(resource: Resource) -> list[str]:
    """Every key that a list can be filtered by."""
    columns = [c.name for c in _table(resource).columns if not isinstance(c.type, Json)]
    shown = [name for name in columns if name not in resource.secrets and not name.endswith("_at")]
    return ["short_id", *shown, *map(ref_name, resource.refs), *_ranges(resource), *resource.filters]


def values_in(text: str) -> list[str]:
    """`A,B` -> A and B; `"Smith, Ann",B` where a value has a comma of its own."""
    if '"' not in text:
        return [part.strip() for part in text.split(",") if part.strip()]
    return [
        part.strip() for part in next(csv.reader([text.replace("\n", " ")], skipinitialspace=True), []) if part.strip()
    ]


async def conditions(session: AsyncSession, resource: Resource, filters: Any, search: str) -> list[Any]:
    """`filters`: key -> values; all keys must match, each with any of its values. Raises UnknownKey, Invalid."""
    known = filter_names(resource)
    found: list[Any] = []
    for key, values in filters.items():
        if key not in known:
            raise UnknownKey(key, f"is not a filter of {resource.name}{suggest(key, known)}")
        if len(values) > _MOST_VALUES:
            raise Invalid(key, f"must not have more than {_MOST_VALUES} values")
        for value in values:
            check_text(key, value)
        found.append(await _condition(session, resource, key, values))
    if search.strip():
        found.append(_search(resource, search))
    return found


async def _condition(session: AsyncSession, resource: Resource, key: str, values: Sequence[str]) -> Any:
    model: Any = resource.model
    if key in resource.filters:
        return await resource.filters[key].make(session, key, values)
    if (ranged := _ranges(resource).get(key)) is not None:
        column, end = getattr(model, ranged), key.endswith("_to")
        at = instant_of(key, values[-1], zone_of(session), end=end)
        return column < at if end else column >= at
    if key in ("id", "short_id"):
        return model.id.in_([_own_id(resource, key, value) for value in values])
    pointing = next((c for c in resource.refs if key in (c, ref_name(c))), None)
    column = getattr(model, pointing or key)
    given = [value for value in values if value != EMPTY or not _column(resource, pointing or key).nullable]
    wanted: list[Any]
    if pointing is not None:
        target = RESOURCES[resource.refs[pointing]]
        ids = [await find_id(session, target, value) for value in given]
        wanted = [each for each in ids if each is not None]
    else:
        wanted = [_typed(resource, key, value) for value in given]
    matching = column.in_(wanted)
    return or_(column.is_(None), matching) if len(given) < len(values) else matching


def _ranges(resource: Resource) -> dict[str, str]:
    """`created_from` and `created_to` of `created_at`, and so on."""
    moments = [c.name for c in _table(resource).columns if c.name.endswith("_at")]
    return {f"{name.removesuffix('_at')}_{edge}": name for name in moments for edge in ("from", "to")}


def _own_id(resource: Resource, key: str, value: str) -> int:
    found = id_of(resource, value.strip())
    if found is None and value.strip().isascii() and value.strip().isdigit() and len(value.strip()) < 10:
        found = int(value)
    if found is None:
        raise Invalid(key, f"{value[:100]!r} is not the id of a {resource.singular}")
    return found


def _typed(resource: Resource, key: str, value: str) -> Any:
    """The filter's value as the column's type; a + that a URL turned into a space is put back."""
    if key == "phone_number":
        return f"+{value.strip().removeprefix('+')}"
    column = _column(resource, key)
    try:
        found: Any = TypeAdapter(kind_of(column)).validate_python(value)
    except ValidationError:
        found = None
    bits = 63 if isinstance(column.type, BigInteger) else 31
    if found is None or (type(found) is int and not -(2**bits) <= found < 2**bits):
        raise Invalid(key, f"{value[:100]!r} is not a value of this column")
    return found


def kind_of(column: Any) -> type:
    """The Python type of a column that is not JSON."""
    if isinstance(column.type, Boolean):
        return bool
    return int if isinstance(column.type, Integer) else str


def _search(resource: Resource, text: str) -> Any:
    """Every word of `text` in some text column; or the row of that short id."""
    check_text("q", text)
    words = text.split()
    if len(words) > _MOST_WORDS:
        raise Invalid("q", f"must not have more than {_MOST_WORDS} words")
    model: Any = resource.model
    texts = [c for c in _table(resource).columns if kind_of(c) is str and not isinstance(c.type, Json)]
    columns = [getattr(model, c.name) for c in texts if c.name not in resource.secrets]
    found = and_(*(or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in words))
    own = id_of(resource, text.strip())
    return found if own is None else or_(found, col(resource.model.id) == own)


def _table(resource: Resource) -> Any:
    return resource.model.metadata.tables[resource.table]


def _column(resource: Resource, name: str) -> Any:
    return _table(resource).columns[name]
