"""Which regular expressions a filter may use: those that cannot take long, whatever the caller's data.

Python's `re` backtracks, so `(a+)+$` needs 2^n steps. A pattern is refused where it nests repeats, repeats
an alternation, refers back or looks around, and where too much of it can be read in several ways: an open
repeat that can give characters to what follows counts 4, an optional part 1, an alternation 1 for each
doubling of its branches, and 10 is the most. What remains costs some n^3 steps, and values are cut to
`MAX_INPUT`.
"""

from __future__ import annotations

import re
from typing import Any

MAX_PATTERN = 200
MAX_INPUT = 128
_MAX_WAYS = 10
_OPEN, _OPTIONAL = 4, 1
_parser: Any = getattr(re, "_parser")  # noqa: B009  the standard parser; private, so kept to this one name
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_REFUSED = {
    "GROUPREF": "refers back to a group",
    "GROUPREF_EXISTS": "refers back to a group",
    "ASSERT": "looks around",
    "ASSERT_NOT": "looks around",
}
_ASCII = "".join(map(chr, range(128)))


def compile_safe(pattern: str) -> re.Pattern[str]:
    """The compiled pattern. Raises ValueError with the reason where it is not allowed."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"longer than {MAX_PATTERN} characters")
    try:
        parsed = _parser.parse(pattern)
        ways = _walk(list(parsed), inside=False)
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if ways > _MAX_WAYS:
        raise ValueError("too much of it can be read in several ways: it could backtrack for very long")
    return compiled


def _walk(items: list[Any], *, inside: bool) -> int:
    """In how many ways it can be read (see above); `inside` = within a repeat, where only one is allowed."""
    count = 0
    for i, (op, argument) in enumerate(items):
        name = str(op)
        if name in _REFUSED:
            raise ValueError(_REFUSED[name])
        if name in _REPEATS:
            count += _repeat(argument, items[i + 1 :], inside=inside)
        elif name == "BRANCH":
            if inside:
                raise ValueError("repeats an alternation: it could backtrack for very long")
            branches = [_walk(list(branch), inside=False) for branch in argument[1]]
            count += max(branches) + (len(branches) - 1).bit_length()
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            body = argument[-1] if name == "SUBPATTERN" else argument
            count += _walk(list(body), inside=inside)
    return count


def _repeat(argument: Any, following: list[Any], *, inside: bool) -> int:
    low, high, body = argument[0], argument[1], list(argument[2])
    if low == high and int(high) <= 1000 and not _has_repeat(body):
        _walk(body, inside=True)
        return 0
    if inside:
        raise ValueError("nests repeats: it could backtrack for very long")
    within = _walk(body, inside=int(high) > 1)
    if _separated(body, following):
        return within
    return within + (_OPTIONAL if int(high) == 1 else _OPEN)


def _has_repeat(items: list[Any]) -> bool:
    return any(str(op) in _REPEATS or str(op) in ("SUBPATTERN", "BRANCH") for op, _ in items)


def _separated(body: list[Any], following: list[Any]) -> bool:
    """Whether the next thing after the repeat is a character that the repeat itself can never take."""
    if not following or len(body) != 1:
        return False
    mine, after = _characters(body[0]), _characters(following[0])
    return mine is not None and after is not None and not (mine & after)


def _characters(item: Any) -> frozenset[str] | None:
    """The ASCII characters that a single-character item matches; None where it is something else."""
    op, argument = item
    name = str(op)
    if name in _REPEATS and argument[0] >= 1 and len(argument[2]) == 1:
        return _characters(argument[2][0])
    if name == "LITERAL":
        return frozenset(chr(argument))
    if name == "NOT_LITERAL":
        return frozenset(_ASCII) - {chr(argument)}
    if name == "ANY":
        return frozenset(_ASCII)
    if name == "IN":
        return _class_characters(argument)
    return None


def _class_characters(parts: list[Any]) -> frozenset[str]:
    found: set[str] = set()
    negated = False
    for op, argument in parts:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found.add(chr(argument))
        elif name == "RANGE":
            found.update(chr(c) for c in range(argument[0], min(argument[1], 127) + 1))
        else:
            found.update(_category(str(argument)))
    return frozenset(set(_ASCII) - found if negated else found)


def _category(name: str) -> set[str]:
    """`CATEGORY_DIGIT`, `CATEGORY_NOT_WORD`, ... as ASCII characters."""
    letter = name.removeprefix("CATEGORY_").removeprefix("NOT_")[:1].lower()
    negative = "NOT_" in name
    matching = {c for c in _ASCII if re.match("\\" + letter, c)}
    return set(_ASCII) - matching if negative else matching
