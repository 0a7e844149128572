"""What a run of digits means so far. Pure: time-outs belong to the caller of these functions."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complete:
    digits: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    pass


@dataclass(frozen=True, slots=True)
class Invalid:
    digits: str


@dataclass(frozen=True, slots=True)
class DigitRule:
    """What is wanted: one of `choices`, or between `minimum` and `maximum` digits that match `pattern`.

    `terminator` ends an entry early and is not part of it ("" for none). `pattern` must match the whole entry.
    """

    choices: frozenset[str] = frozenset()
    minimum: int = 1
    maximum: int = 1
    terminator: str = ""
    pattern: str = ""


def match(entry: str, rule: DigitRule) -> Complete | Incomplete | Invalid:
    """Judge `entry` while more digits may come.

    A choice that is also the beginning of a longer one (1 and 12) stays incomplete until the pause.
    """
    if rule.terminator and entry.endswith(rule.terminator):
        return judge(entry[: -len(rule.terminator)], rule)
    if rule.choices:
        if any(choice.startswith(entry) and choice != entry for choice in rule.choices):
            return Incomplete()
        return judge(entry, rule)
    return Incomplete() if len(entry) < rule.maximum else judge(entry, rule)


def judge(entry: str, rule: DigitRule) -> Complete | Invalid:
    """Judge an `entry` to which no digit will be added."""
    if rule.choices:
        return Complete(entry) if entry in rule.choices else Invalid(entry)
    fits = rule.minimum <= len(entry) <= rule.maximum
    if not fits or (rule.pattern and not re.fullmatch(rule.pattern, entry)):
        return Invalid(entry)
    return Complete(entry)
