"""The events that webhooks carry, as JSON Schema (2020-12): what is in schemas/webhooks/."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import msgspec

from dcx_ari.decide.events import EVENTS, Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schemas() -> dict[str, dict[str, Any]]:
    """Name of the event -> schema of the whole body."""
    return {name: _schema(event) for name, event in EVENTS.items()}


def _schema(event: Event) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": event.name,
        "description": event.help,
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event.name},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened"},
            "data": _data(event),
        },
    }


def _data(event: Event) -> dict[str, Any]:
    """All fields are always there; more may come with later versions."""
    if not dataclasses.is_dataclass(event.data):
        return {"type": "object"}
    (_,), components = msgspec.json.schema_components([event.data])
    found = components[event.data.__name__]
    properties = {name: _property(name, shape) for name, shape in found["properties"].items()}
    return {
        "type": "object",
        "description": inspect.cleandoc(event.data.__doc__ or ""),
        "required": sorted(properties),
        "properties": properties,
    }


def _property(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in shape.items() if key != "default"}
    kinds = [each.get("type") for each in kept.get("anyOf", ())]
    if len(kinds) == 2 and kinds[1] == "null":
        kept = {"type": kinds}
    return {**kept, "format": "date-time"} if name == "at" or name.endswith("_at") else kept
