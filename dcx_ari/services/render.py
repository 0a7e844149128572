"""Rows as JSON values for a reader: times in RFC 3339 with milliseconds, secrets left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from dcx_ari.services.resources import Resource, ref_name
from dcx_ari.store.models.base import ConfigRow


def rfc3339(at_ms: int) -> str:
    """`2026-01-31T09:00:00.000Z` from epoch milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    shown: dict[str, Any] = {"id": row.id}
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
