"""A request's body as a msgspec Struct: what OpenAPI says about it is what is checked."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from dcx_ari.api.context import body_object
from dcx_ari.services.errors import Invalid

T = TypeVar("T", bound=msgspec.Struct)
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`")


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of bodies: a field that nobody knows is refused."""


async def body_as(request: web.Request, kind: type[T], *, optional: bool = False) -> T:
    """The body. Raises Invalid with the path of the field, HTTP 413 and 415."""
    value = await body_object(request, optional=optional)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def given(body: msgspec.Struct) -> dict[str, Any]:
    """The fields that were in the body, whatever their defaults."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def invalid(message: str) -> Invalid:
    """msgspec's words, with the field in front: ``Expected `str`, got `int` - at `$.name` ``."""
    rule, _, place = message.partition(" - at ")
    path = place.strip("`").removeprefix("$").lstrip(".")
    if named := _NAMED.match(rule):
        path = f"{path}.{named[2]}".lstrip(".")
        rule = "is required" if named[1] == "missing required" else "is not known here"
    else:
        rule = rule.replace("`", "").replace("Expected ", "must be ").replace(", got ", ", not ")
    return Invalid(path.replace("[...]", "") or "body", rule)
