"""Short words for JSON Schema, for routes that are described by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
ROW: Schema = {"type": "object", "required": ["id", "version"]}
"""A whole row of configuration."""


def fields(optional: tuple[str, ...] = (), /, **properties: Schema) -> dict[str, Any]:
    """An object with these fields, all there but the `optional` ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def list_of(item: Schema) -> dict[str, Any]:
    """The shape of every list: `data`, `next_cursor`, `total`."""
    data = {"type": "array", "items": dict(item)}
    return fields(data=data, next_cursor=nullable(TEXT), total=NUMBER)


def nullable(schema: Schema) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [dict(schema), {"type": "null"}]}
