"""Which columns a CSV file of one kind of rows has: on the way in, on the way out, and in the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from dcx_ari.services.cells import ABSENT, Kind, from_cell, kind_of
from dcx_ari.services.csv_text import Row, column_name, unescaped
from dcx_ari.services.errors import Invalid
from dcx_ari.services.parse import suggest
from dcx_ari.services.resources import Resource, ref_name
from dcx_ari.store.models.base import READ_ONLY

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "buyers": (
        *("name", "endpoint_type", "endpoint_value", "tier", "weight", "revenue_cents", "daily_cap", "monthly_cap"),
    ),
    "flows": ("name", "document", "status"),
}
"""Columns of the import template where they are not those that lists show."""
CREATED_BY = "created_by"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one file: the field each stands for, and how its cells are read. None: read over."""

    resource: Resource
    fields: tuple[str | None, ...]
    kinds: tuple[Kind, ...]

    def given(self, row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values that a row gives, as `rows.create` takes them, and the defaults of the fields it leaves empty.

        Raises Invalid, naming the field where the row is at fault.
        """
        if row.fault:
            raise Invalid(self.name_of(row.column), row.fault)
        if any(row.cells[len(self.fields) :]):
            raise Invalid("row", f"has {len(row.cells)} cells, the header only {len(self.fields)}")
        found: dict[str, Any] = {}
        empty: dict[str, Any] = {}
        cells = row.cells + [""] * (len(self.fields) - len(row.cells))
        for name, kind, text in zip(self.fields, self.kinds, cells, strict=False):
            if name is None:
                continue
            value = from_cell(name, kind, text)
            if value is ABSENT:
                empty[name] = self._default(name)
            else:
                found[name] = value
        return found, empty

    def name_of(self, column: int | None) -> str:
        """The column as errors name it."""
        if column is None or column >= len(self.fields):
            return "row"
        return self.fields[column] or f"column {column + 1}"

    def _default(self, name: str) -> Any:
        field = _field(self.resource, name)
        if field.is_required():
            raise Invalid(name, "is required")
        return field.get_default(call_default_factory=True)


def layout(resource: Resource, header: Row) -> Layout:
    """What the header of a file says. Raises Invalid for a column that is not known, or named twice, or missing."""
    if header.fault:
        raise Invalid("header", header.fault)
    writable = {**{name: name for name in resource.writable}, **{ref_name(c): ref_name(c) for c in resource.refs}}
    writable.update({column: ref_name(column) for column in resource.refs})
    ignored = (set(exported(resource)) | {f"has_{name}" for name in resource.secrets} | READ_ONLY) - set(writable)
    fields: list[str | None] = []
    for number, cell in enumerate(header.cells, 1):
        name = column_name(unescaped(cell))
        if name in writable:
            if writable[name] in fields:
                raise Invalid("header", f"names {writable[name]} twice")
            fields.append(writable[name])
        elif name in ignored or not name:
            fields.append(None)
        else:
            raise Invalid("header", _unknown(resource, name, number, [*writable, *ignored]))
    _check_complete(resource, fields)
    return Layout(
        resource, tuple(fields), tuple(kind_of(_field(resource, name)) if name else "text" for name in fields)
    )


def key_columns(resource: Resource) -> tuple[str, ...]:
    """The fields by which a row of a file is the same as one in the database."""
    if resource.key is not None:
        return (resource.key,)
    return resource.unique[0] if resource.unique else ()


def exported(resource: Resource) -> list[str]:
    """The columns of an export: every field but secrets, rows of other kinds by their keys, then what lists add."""
    fields = [_shown_name(resource, name) for name in resource.writable if name not in resource.secrets]
    added = [name for name in resource.columns if name not in fields]
    return list(dict.fromkeys(["id", "short_id", *fields, *added, "version", "created_at", "updated_at", CREATED_BY]))


def template(resource: Resource) -> list[str]:
    """The header to begin an import with."""
    if resource.name in TEMPLATES:
        return list(TEMPLATES[resource.name])
    fields = {_shown_name(resource, name): name for name in resource.writable}
    wanted = [resource.argument, *(n for n, f in resource.fields.model_fields.items() if f.is_required())]
    shown = [_shown_name(resource, name) for name in (*wanted, *resource.columns)]
    return list(dict.fromkeys(name for name in shown if name in fields))


def _shown_name(resource: Resource, column: str) -> str:
    return ref_name(column) if column in resource.refs else column


def _field(resource: Resource, name: str) -> FieldInfo:
    fields = resource.fields.model_fields
    return fields[name] if name in fields else fields[f"{name}_id"]


def _unknown(resource: Resource, name: str, number: int, known: Sequence[str]) -> str:
    close = suggest(name, known)
    return (
        f"{name[:50]!r} (column {number}) is not a column of {resource.name}{close}; "
        f"the first row must name the columns, such as {','.join(template(resource))}"
    )


def _check_complete(resource: Resource, fields: Sequence[str | None]) -> None:
    """The columns that say which row is meant must be there, unless they have defaults."""
    for name in key_columns(resource):
        shown = _shown_name(resource, name)
        if shown not in fields and _field(resource, shown).is_required():
            raise Invalid("header", f"must have the column {shown}; a whole one: {','.join(template(resource))}")
