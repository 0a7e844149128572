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


def match(entry: str, rule: DigitRule, *, ended: bool) -> Complete | Incomplete | Invalid:
    """Judge `entry`; `ended` says that no more digits will come.

    A choice that is also the beginning of a longer one (1 and 12) stays incomplete until the pause.
    """
    terminated = bool(rule.terminator) and entry.endswith(rule.terminator)
    digits = entry[: -len(rule.terminator)] if terminated else entry
    final = ended or terminated
    if rule.choices:
        return _match_choice(digits, rule.choices, final=final)
    if len(digits) < rule.minimum:
        return Invalid(digits) if final else Incomplete()
    if len(digits) < rule.maximum and not final:
        return Incomplete()
    if len(digits) > rule.maximum or (rule.pattern and not re.fullmatch(rule.pattern, digits)):
        return Invalid(digits)
    return Complete(digits)


def _match_choice(digits: str, choices: frozenset[str], *, final: bool) -> Complete | Incomplete | Invalid:
    longer = any(choice.startswith(digits) and choice != digits for choice in choices)
    if digits in choices:
        return Complete(digits) if final or not longer else Incomplete()
    return Incomplete() if longer and not final else Invalid(digits)
