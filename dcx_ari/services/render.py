"""Rows as JSON values for a reader: times in RFC 3339 with milliseconds, secrets left out.

Lists are read as plain columns, without the ORM: a `Reader` knows which, and makes a row's JSON values of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from pydantic import BaseModel
from sqlalchemy import Select, Text, select, type_coerce
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.services.short_ids import short_id
from dcx_ari.services.times import rfc3339
from dcx_ari.store.models.base import ConfigRow
from dcx_ari.store.types import Json


def plain(name: str, value: Any) -> Any:
    """A JSON value; `*_at` becomes text."""
    if name.endswith("_at") and isinstance(value, int):
        return rfc3339(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list):
        return [plain("", item) for item in value]
    return value


def extra(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that are no columns (`Resource.more`), as JSON values."""
    return {name: plain(name, value) for name, value in values.items()}


def render(resource: Resource, row: ConfigRow, names: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """All columns of a row, with the key of each row it points at beside the id."""
    shown: dict[str, Any] = {"id": row.id, "short_id": short_id(resource, row.id or 0)}
    for name in resource.fields.model_fields:
        value = getattr(row, name)
        if name in resource.secrets:
            shown[f"has_{name}"] = value is not None
            continue
        shown[name] = plain(name, value)
        if name in resource.refs:
            shown[ref_name(name)] = names.get(name, {}).get(value) if value is not None else None
    for name in ("version", "created_at", "updated_at"):
        shown[name] = plain(name, getattr(row, name))
    return shown


@dataclass(frozen=True, slots=True)
class Reader:
    """How rows of one kind are read: `names` are the columns of `statement`, in the order in which they are shown."""

    names: tuple[str, ...]
    statement: Select[Any]
    """All rows, in no order."""
    _conversions: tuple[tuple[str, Callable[[Any], Any]], ...]

    def row(self, row: Any) -> dict[str, Any]:
        """A row of `statement` as `render` would show it."""
        return self.shown(self.values(row))

    def values(self, row: Any) -> Values:
        """A row of `statement` as it is in the database."""
        return Values(zip(self.names, row, strict=False))

    def shown(self, values: Values) -> dict[str, Any]:
        """The same object, made JSON values."""
        for name, convert in self._conversions:
            if (value := values[name]) is not None:
                values[name] = convert(value)
        return values


class Values(dict[str, Any]):
    """Values by column, also as attributes: `values.id`."""

    __slots__ = ()
    __getattr__ = dict.__getitem__


async def fetched(session: AsyncSession, statement: Select[Any]) -> Sequence[Any]:
    """Rows of plain columns; nothing that waits in the session is written first."""
    connection = await session.connection()
    found: Sequence[Any] = (await connection.execute(statement)).all()
    return found


def reader(resource: Resource) -> Reader:
    return _reader(resource.name)


@cache
def _reader(name: str) -> Reader:
    resource = RESOURCES[name]
    model: Any = resource.model
    table = model.__table__
    source: Any = table
    conversions: list[tuple[str, Callable[[Any], Any]]] = [("short_id", lambda row_id: short_id(resource, row_id))]
    columns: dict[str, Any] = {"id": table.c.id, "short_id": table.c.id.label("short_id")}
    for field in resource.fields.model_fields:
        column = table.c[field]
        if field in resource.secrets:
            columns[f"has_{field}"] = column.is_not(None).label(f"has_{field}")
            continue
        structured = isinstance(column.type, Json)
        columns[field] = type_coerce(column, Text()).label(field) if structured else column
        if structured:  # what was checked when it was written is not checked again for a list
            conversions.append((field, _parsed))
        if field in resource.refs:
            other = RESOURCES[resource.refs[field]]
            named: Any = other.model
            pointed = named.__table__.alias(f"of_{field}")
            source = source.outerjoin(pointed, pointed.c.id == column)
            columns[ref_name(field)] = pointed.c[other.key or "id"].label(ref_name(field))
    columns.update({field: table.c[field] for field in ("version", "created_at", "updated_at")})
    conversions += [(each, rfc3339) for each in columns if each.endswith("_at")]
    statement = select(*columns.values()).select_from(source)
    return Reader(tuple(columns), statement, tuple(conversions))


def _parsed(value: Any) -> Any:
    """Text of JSON, or what a driver has made of it."""
    return msgspec.json.decode(value) if isinstance(value, str) else value
