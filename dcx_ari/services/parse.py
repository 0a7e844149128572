"""Values from outside, parsed by the fields of a model; the first fault named."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from dcx_ari.services.errors import Invalid
from dcx_ari.services.resources import Resource
from dcx_ari.services.short_ids import id_of
from dcx_ari.store.models.base import READ_ONLY

_MAX_DEPTH = 20


def check_names(resource: Resource, names: Iterable[str]) -> None:
    """Raises Invalid for a name that is not a field of the resource, or may not be written."""
    known = set(resource.writable)
    for name in names:
        if name in READ_ONLY:
            raise Invalid(name, "is set by dcx and cannot be written")
        if name not in known:
            raise Invalid(name, f"is not a field of {resource.name}{suggest(name, known)}")


def check_key(resource: Resource, values: Mapping[str, Any]) -> None:
    """Raises Invalid for a name that looks like a short id: it could mean another row."""
    name = values.get("name")
    if resource.key == "name" and isinstance(name, str) and id_of(resource, name) is not None:
        raise Invalid("name", f"must not look like a short id: {name} may be another {resource.singular}")


def suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]}?" if close else ""


def parse_fields(fields: type[BaseModel], values: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """Typed values for all fields. `strict`: JSON types count (the API); otherwise text is read (the CLI).

    Raises Invalid.
    """
    for name, value in values.items():
        check_text(name, value)
    try:
        parsed = fields.model_validate(dict(values), strict=strict)
    except ValidationError as error:
        raise first_fault(error) from None
    return {name: getattr(parsed, name) for name in fields.model_fields}


def check_text(field: str, value: Any, depth: int = 0) -> None:
    """Refuses what no database can keep: NUL and lone surrogates; and nesting nobody means."""
    if depth > _MAX_DEPTH:
        raise Invalid(field, f"must not be nested deeper than {_MAX_DEPTH}")
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise Invalid(field, "must be valid text without NUL characters")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_text(field, key, depth + 1)
            check_text(f"{field}.{key}", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_text(f"{field}.{index}", inner, depth + 1)


def first_fault(error: ValidationError) -> Invalid:
    """The first fault, in the words of the rule; a value that may be a secret is not repeated."""
    fault = error.errors(include_url=False, include_input=False)[0]
    names = [str(part) for part in fault["loc"] if isinstance(part, int) or _is_name(str(part))]
    return Invalid(".".join(names) or "body", _rule(fault))


def _is_name(part: str) -> bool:
    """pydantic puts the tried types of a union into the path: `int`, `list[...]`, `function-after[...]`."""
    return part.isidentifier() and part not in ("int", "str", "float", "bool", "none")


def _rule(fault: Mapping[str, Any]) -> str:
    kind, context, message = fault["type"], fault.get("ctx", {}), str(fault["msg"])
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is not known here"
    if kind == "literal_error":
        return f"must be one of {str(context['expected']).replace(chr(39), '')}"
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if kind == "less_than_equal":
        return f"must be at most {context['le']}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    if kind.startswith(("int_", "float_")):
        return "must be a whole number"
    if kind.startswith("bool_"):
        return "must be true or false"
    message = message.removeprefix("Value error, ")
    return message.replace("Input should be a valid", "must be a").replace("Input should", "must")
