"""Conditions on a call's tags.

Twelve operators: `==`, `!=`, `in`, `not_in`, `=~`, `!~`, `>`, `<`, `exists`, `not_exists`, `begins`,
`contains`; and the negations `not_begins`, `not_contains`. All conditions of a row must be true. A tag that
is missing (or None) matches nothing but `not_exists`: `!=` and `not_in` want a value that differs.

Values compare as text (`true`, `false` for booleans), so that a digit keyed in equals a number configured;
`>` and `<` compare numbers, and what is not a number is not greater and not less.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from dcx_ari.decide.regexes import MAX_INPUT, compile_safe
from dcx_ari.decide.rows import Filter

OPERATORS = (
    "==",
    "!=",
    "in",
    "not_in",
    "=~",
    "!~",
    ">",
    "<",
    "exists",
    "not_exists",
    "begins",
    "contains",
    "not_begins",
    "not_contains",
)
Predicate = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class CompiledFilter:
    """A condition ready to be asked: `test` gets the tag's value (None = missing)."""

    tag: str
    op: str
    value: Any
    test: Predicate


def compile_filter(condition: Filter) -> CompiledFilter:
    """Raises ValueError for an unknown operator, a value of the wrong shape or a dangerous pattern."""
    if not condition.tag:
        raise ValueError("filters: a condition needs a tag")
    return CompiledFilter(condition.tag, condition.op, condition.value, _predicate(condition))


def first_mismatch(filters: Iterable[CompiledFilter], tags: Mapping[str, Any]) -> tuple[CompiledFilter, Any] | None:
    """The first condition that is not met and the tag's value, or None."""
    for f in filters:
        actual = tags.get(f.tag)
        if not f.test(actual):
            return f, actual
    return None


def text(value: Any) -> str:
    """How values are compared."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _predicate(condition: Filter) -> Predicate:
    op, value = condition.op, condition.value
    if op == "exists":
        return lambda actual: actual is not None
    if op == "not_exists":
        return lambda actual: actual is None
    if op in ("in", "not_in"):
        return _membership(value, wanted=op == "in")
    if op in (">", "<"):
        return _ordered(value, operator.gt if op == ">" else operator.lt)
    if value is None or isinstance(value, (list, tuple, dict)):
        raise ValueError(f"filters: {op} on {condition.tag} needs a single value")
    if op in ("=~", "!~"):
        return _pattern(condition.tag, str(value), wanted=op == "=~")
    return _textual(op, text(value))


def _textual(op: str, want: str) -> Predicate:
    tests: dict[str, Predicate] = {
        "==": lambda actual: actual is not None and text(actual) == want,
        "!=": lambda actual: actual is not None and text(actual) != want,
        "begins": lambda actual: actual is not None and text(actual).startswith(want),
        "not_begins": lambda actual: actual is not None and not text(actual).startswith(want),
        "contains": lambda actual: actual is not None and want in text(actual),
        "not_contains": lambda actual: actual is not None and want not in text(actual),
    }
    if op not in tests:
        raise ValueError(f"filters: unknown operator {op!r}; use one of {' '.join(OPERATORS)}")
    return tests[op]


def _membership(value: Any, *, wanted: bool) -> Predicate:
    if not isinstance(value, (list, tuple)):
        raise ValueError("filters: in and not_in need a list of values")
    values = frozenset(text(v) for v in value)
    return lambda actual: actual is not None and (text(actual) in values) is wanted


def _ordered(value: Any, compare: Callable[[Any, Any], Any]) -> Predicate:
    limit = _number(value)
    if limit is None:
        raise ValueError("filters: > and < need a number")

    def test(actual: Any) -> bool:
        number = _number(actual)
        return number is not None and bool(compare(number, limit))

    return test


def _pattern(tag: str, pattern: str, *, wanted: bool) -> Predicate:
    try:
        search = compile_safe(pattern).search
    except ValueError as error:
        raise ValueError(f"filters: the pattern on {tag}: {error}") from None
    return lambda actual: actual is not None and (search(text(actual)[:MAX_INPUT]) is not None) is wanted


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(text(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
