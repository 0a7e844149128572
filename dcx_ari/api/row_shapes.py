"""What requests and answers about rows look like, made from the fields of their models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from dcx_ari.api.routes import COMPONENT, Param
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.services.bulk import MOST, actions_of, ids_field
from dcx_ari.services.listing import MAX_LIMIT, filter_names, sort_names
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.services.templates import TEMPLATED
from dcx_ari.services.usage import KINDS

_KEY = {"type": ["integer", "string"]}
_NO_MORE = {"additionalProperties": False}
MAXED_BY = fields(cap=TEXT, used=NUMBER, limit=NUMBER, resets_at=nullable(MOMENT))
ERROR = fields(field=TEXT, rule=TEXT, message=TEXT)


@cache
def row_shape(name: str) -> dict[str, Any]:
    """A row as it is shown, with what its caps have used; counts of calls come besides."""
    resource = RESOURCES[name]
    shown: dict[str, Any] = {"id": NUMBER, "short_id": TEXT}
    for field, schema in _properties(resource).items():
        if field in resource.secrets:
            shown[f"has_{field}"] = YES_NO
            continue
        shown[field] = _moment(schema) if field.endswith("_at") else schema
        if field in resource.refs:
            shown[ref_name(field)] = nullable(TEXT)
    shown |= {"version": NUMBER, "created_at": MOMENT, "updated_at": MOMENT}
    if name in KINDS:
        shown |= {cap.used: NUMBER for cap in KINDS[name].caps}
        shown |= {"maxed_out": YES_NO, "maxed_by": {"type": "array", "items": MAXED_BY}}
    return _named(name, "", fields(**shown))


def page_shape(name: str) -> dict[str, Any]:
    return list_of(row_shape(name))


@cache
def new_shape(name: str) -> dict[str, Any]:
    """The body that makes a row: whatever has a default may be left out."""
    resource = RESOURCES[name]
    needed = [each for each in resource.fields.model_json_schema().get("required", []) if each not in resource.refs]
    properties = _writable(resource)
    if name in TEMPLATED:
        properties["template"] = nullable(TEXT)
        needed = [resource.argument]  # a template may have the others
    return _named(name, "New", {"type": "object", "properties": properties, "required": needed, **_NO_MORE})


@cache
def changes_shape(name: str) -> dict[str, Any]:
    """The body of PATCH: any fields, and the version that they are based on."""
    properties = {**_writable(RESOURCES[name]), "version": NUMBER}
    return _named(name, "Changed", {"type": "object", "properties": properties, **_NO_MORE})


def _named(name: str, what: str, shape: dict[str, Any]) -> dict[str, Any]:
    """The shape with the name that the API's document keeps it under: once, however often it is used."""
    words = RESOURCES[name].singular.title().replace(" ", "").replace("-", "")
    return {COMPONENT: f"{what}{words}Row", **shape}


def order_shape(resource: Resource) -> dict[str, Any]:
    """The body of bulk-update."""
    ids = {"type": "array", "items": _KEY, "minItems": 1, "maxItems": MOST}
    action = {"type": "string", "enum": list(actions_of(resource))}
    given: dict[str, Any] = {ids_field(resource): ids, "action": action, "reason": nullable(TEXT), "atomic": YES_NO}
    return {**fields(("reason", "atomic"), **given), **_NO_MORE}


RESULTS = fields(
    action=TEXT,
    atomic=YES_NO,
    succeeded=NUMBER,
    failed=NUMBER,
    results={
        "type": "array",
        "items": fields(given=_KEY, id=nullable(NUMBER), short_id=nullable(TEXT), ok=YES_NO, error=nullable(ERROR)),
    },
)
REASON = {**fields(("reason",), reason=nullable(TEXT)), **_NO_MORE}


def list_query(resource: Resource) -> dict[str, Param]:
    """What a list can be asked."""
    asked = {
        "q": Param("Words that must all be in some text of the row; or a short id."),
        "sort_by": Param("Column; rows without a value come last.", _one_of(sort_names(resource))),
        "sort_order": Param("asc or desc.", _one_of(["asc", "desc"])),
        "limit": Param("Most rows of a page.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
        "cursor": Param("Where the page begins: `next_cursor` of the one before."),
        "view": Param("A saved view to begin with, by name."),
    }
    for name in filter_names(resource):
        rule = resource.filters.get(name)
        help_text = rule.help if rule is not None else "One value or several, with commas between."
        asked[name] = Param(f"{help_text} Also as filters[{name}].", {"type": rule.kind} if rule else TEXT)
    return asked


def _one_of(values: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": values}


def _writable(resource: Resource) -> dict[str, Any]:
    """What may be written: rows of other kinds by id, short id or key, times as text or epoch ms."""
    found: dict[str, Any] = {}
    for field, schema in _properties(resource).items():
        if field in resource.refs:
            found[field] = found[ref_name(field)] = {"type": ["integer", "string", "null"]}
        elif field.endswith("_at"):
            found[field] = {"type": ["integer", "string", "null"]}
        else:
            found[field] = schema
    return found


def _moment(schema: Mapping[str, Any]) -> dict[str, Any]:
    can_be_null = {"type": "null"} in schema.get("anyOf", ())
    return nullable(MOMENT) if can_be_null else dict(MOMENT)


@cache
def _properties_of(name: str) -> dict[str, Any]:
    whole = RESOURCES[name].fields.model_json_schema()
    found: dict[str, Any] = _inlined(whole["properties"], whole.get("$defs", {}))
    return found


def _properties(resource: Resource) -> dict[str, Any]:
    return _properties_of(resource.name)


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Without `$ref`: the shape stands in a document of others' shapes."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        own = {name: value for name, value in schema.items() if name != "$ref"}
        return {**_inlined(definitions[ref.rpartition("/")[2]], definitions), **_inlined(own, definitions)}
    return {name: _inlined(value, definitions) for name, value in schema.items()}
