"""The JSON Schema of flow documents, for editors and for other programs."""

from __future__ import annotations

from typing import Any

import msgspec

from dcx_ari.flows.document import Document
from dcx_ari.flows.registry import NODE_TYPES

_ID = "https://json-schema.org/draft/2020-12/schema"


def flow_schema() -> dict[str, Any]:
    """Made from the node types. What one node's own rules say (`say` or `sound`) is left to `dcx flows check`."""
    schema = msgspec.json.schema(Document)
    parts: dict[str, Any] = schema["$defs"]
    for word, kind in NODE_TYPES.items():
        node = parts[kind.__name__]
        node["properties"]["type"] = {"const": word}
        node["title"] = word
    document = parts["Document"]
    nodes = document["properties"]["nodes"]["additionalProperties"]
    nodes.pop("discriminator", None)
    nodes["oneOf"] = nodes.pop("anyOf")
    return {"$schema": _ID, "title": "DCX flow document", **{k: _tidy(v) for k, v in schema.items()}}


def _tidy(value: Any) -> Any:
    """Without what msgspec writes for Python alone: defaults of null, and long descriptions on several lines."""
    if isinstance(value, dict):
        kept = {k: _tidy(v) for k, v in value.items() if not (k == "default" and v is None)}
        if isinstance(kept.get("description"), str):
            kept["description"] = " ".join(kept["description"].split())
        return kept
    return [_tidy(each) for each in value] if isinstance(value, list) else value
