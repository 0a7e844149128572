"""Spans of the wall clock: `["09:00", "17:00"]`, in minutes; where end <= start they cross midnight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Span = tuple[int, int]
"""Minutes from midnight of the day on which it starts; the end may be up to 2880."""


def minutes(text: str, field: str) -> int:
    """`09:30` -> 570; `24:00` -> 1440. Raises ValueError naming the field."""
    hour, colon, minute = text.partition(":")
    if colon and len(hour) == 2 and len(minute) == 2 and hour.isdecimal() and minute.isdecimal():
        value = int(hour) * 60 + int(minute)
        if int(minute) < 60 and value <= 1440:
            return value
    raise ValueError(f"{field}: {text!r} is not a time like 09:00")


def parse_spans(spans: Iterable[Any], field: str) -> tuple[Span, ...]:
    """Raises ValueError naming the field."""
    found = []
    for span in spans:
        if not isinstance(span, (list, tuple)) or len(span) != 2:
            raise ValueError(f"{field}: {span!r} is not a pair of times")
        start, end = minutes(str(span[0]), field), minutes(str(span[1]), field)
        if start == 1440:
            raise ValueError(f"{field}: a span cannot start at 24:00")
        found.append((start, end if end > start else end + 1440))
    return tuple(found)


def parse_weekly(weekly: Mapping[str, Any]) -> dict[str, tuple[Span, ...]]:
    """Spans for each of the seven days (absent = closed)."""
    unknown = set(weekly) - set(DAYS)
    if unknown:
        raise ValueError(f"weekly: unknown day {sorted(unknown)[0]!r}; days are {' '.join(DAYS)}")
    return {day: parse_spans(weekly.get(day) or (), "weekly") for day in DAYS}


def covers(spans: Iterable[Span], minute: int) -> bool:
    """Whether a minute (of the spans' day, up to 2880 for the day after) lies in one of the spans."""
    return any(start <= minute < end for start, end in spans)
