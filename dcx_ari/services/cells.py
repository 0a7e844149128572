"""Values of fields as cells of a CSV file, and back.

An empty cell is the field's own default (null, "", no items). Lists of words are separated by commas; other
structures are JSON.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Literal, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dcx_ari.services.csv_text import escaped, unescaped
from dcx_ari.services.errors import Invalid

Kind = Literal["flag", "texts", "json", "text"]

ABSENT: Any = object()
"""What an empty cell of a field with a default stands for."""


def kind_of(field: FieldInfo) -> Kind:
    """How a value of the field is written as text."""
    bare = _bare(field.annotation)
    if bare is bool:
        return "flag"
    origin = get_origin(bare)
    if origin is list:
        return "texts" if _bare(get_args(bare)[0]) is str else "json"
    if origin is dict or (isinstance(bare, type) and issubclass(bare, BaseModel)):
        return "json"
    return "text"


def to_cell(value: Any) -> str | int:
    """A JSON value (as lists show it) as a cell."""
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list) and all(_is_word(item) for item in value):
        return escaped(",".join(value))
    return escaped(msgspec.json.encode(value).decode())


def from_cell(name: str, kind: Kind, text: str) -> Any:
    """The value to be parsed by the field; ABSENT for an empty cell. Raises Invalid."""
    if not text:
        return ABSENT
    value = unescaped(text)
    if kind == "json" or (kind == "texts" and value.lstrip().startswith("[")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Invalid(name, f"must be JSON: {reason}") from None
    if kind == "texts":
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _is_word(item: Any) -> bool:
    return isinstance(item, str) and bool(item) and item == item.strip() and "," not in item and item[0] != "["


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        inner = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(inner[0]) if len(inner) == 1 else annotation
    return annotation
