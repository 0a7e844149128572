"""Mappings to rows and back: unknown keys are ignored, defaults are left out when packing."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R")
_Convert = Callable[[Any], Any] | None


def parse(cls: type[R], data: Mapping[str, Any] | R) -> R:
    """A row of class `cls` from a mapping with (at least) its required keys; a row passes through.

    Raises ValueError naming the field where a value has the wrong shape.
    """
    if isinstance(data, cls):
        return data
    assert isinstance(data, Mapping)  # noqa: S101  narrowed for the type checker
    values: dict[str, Any] = {}
    for name, convert in _converters(cast("Hashable", cls)):
        if name in data:
            value = data[name]
            try:
                values[name] = value if convert is None or value is None else convert(value)
            except (TypeError, ValueError, AttributeError, AssertionError) as error:
                raise ValueError(f"{name}: {error}") from None
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(str(error)) from None


def pack(value: Any) -> Any:
    """Plain JSON data for a row or a part of one; fields that equal their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        out = {}
        for f in fields(value):
            v = getattr(value, f.name)
            if v != _default(f):
                out[f.name] = pack(v)
        return out
    if isinstance(value, (tuple, list)):
        return [pack(v) for v in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {k: pack(v) for k, v in value.items()}
    return value


def _default(f: Field[Any]) -> Any:
    if f.default is not MISSING:
        return f.default
    return f.default_factory() if f.default_factory is not MISSING else MISSING


@cache
def _converters(cls: Any) -> tuple[tuple[str, _Convert], ...]:
    hints = get_type_hints(cls)
    return tuple((f.name, _converter(f.name, hints[f.name])) for f in fields(cls))


def _converter(name: str, hint: Any) -> _Convert:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(hint) if a is not type(None)]
        if name == "window_days":
            return _window
        return _converter(name, inner[0]) if len(inner) == 1 else None
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda v: parse(hint, v)
    if origin is frozenset:
        return frozenset
    if origin is tuple:
        args = get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            item = _converter(name, args[0])
            return (lambda v: tuple(item(x) for x in v)) if item is not None else tuple
        return tuple
    if origin is Literal:
        return _one_of(get_args(hint))
    if hint is bool:
        return bool
    if hint is int:
        return _whole
    return None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"a whole number is wanted, not {value!r}")
    return value


def _one_of(allowed: tuple[Any, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return value

    return check


def _window(value: Any) -> int | None:
    return None if value == "forever" else _whole(value)
