"""Recurring windows by RFC 5545 RRULE, on the wall clock, written out in full when the schedule is read.

A rule must end (COUNT or UNTIL) and may not have more than `MAX_OCCURRENCES`: what has no end cannot be
written out, and a rule that never matches would be searched for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from dateutil.rrule import rrulestr

MAX_OCCURRENCES = 20_000
MAX_YEARS = 50
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Windows of equal length, open or closing; starts are naive wall clock times in order."""

    starts: tuple[datetime, ...]
    duration: timedelta
    closed: bool

    def covers(self, wall: datetime) -> bool:
        i = bisect_right(self.starts, wall)
        return i > 0 and wall < self.starts[i - 1] + self.duration

    def edges(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Starts and ends within `[begin, end)`."""
        first = bisect_right(self.starts, begin - self.duration - timedelta(microseconds=1))
        for start in self.starts[first:]:
            if start >= end:
                break
            for edge in (start, start + self.duration):
                if begin <= edge < end:
                    yield edge


def parse_recurrence(entry: Mapping[str, Any]) -> Occurrences:
    """From `{rrule, dtstart, duration_minutes, closed}`. Raises ValueError naming `recurrence`."""
    text = str(entry.get("rrule", "")).upper().removeprefix("RRULE:")
    start = _dtstart(entry.get("dtstart"))
    duration = entry.get("duration_minutes", 1440)
    if not isinstance(duration, int) or not 0 < duration <= 366 * 1440:
        raise ValueError("recurrence: duration_minutes must be between 1 and 527040")
    starts = _starts(text, start)
    return Occurrences(starts, timedelta(minutes=duration), bool(entry.get("closed", False)))


def _dtstart(value: Any) -> datetime:
    try:
        start = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("recurrence: dtstart must be a local time like 2025-01-06T09:00") from None
    if start.tzinfo is not None:
        raise ValueError("recurrence: dtstart is a local time of the schedule's zone, without an offset")
    return start


def _starts(text: str, start: datetime) -> tuple[datetime, ...]:
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
    if parts.get("FREQ") not in _FREQUENCIES:
        raise ValueError(f"recurrence: FREQ must be one of {' '.join(_FREQUENCIES)}")
    if "BYSECOND" in parts:
        raise ValueError("recurrence: windows begin on a whole minute")
    count = parts.pop("COUNT", None)
    until = parts.get("UNTIL")
    if count is None and until is None:
        raise ValueError("recurrence: a rule must end: give COUNT or UNTIL")
    horizon = start + timedelta(days=366 * MAX_YEARS)
    if until is None:
        end = horizon
    elif (end := _until(until)) > horizon:
        raise ValueError(f"recurrence: a rule may not reach further than {MAX_YEARS} years")
    parts["UNTIL"] = f"{end:%Y%m%dT%H%M%S}"
    limit = MAX_OCCURRENCES + 1 if count is None else _count(count)
    return _expand(";".join(f"{k}={v}" for k, v in parts.items()), start, limit)


def _until(text: str) -> datetime:
    """A Z is dropped: dtstart is a local time, and the wall clock is meant. A date means its last second."""
    for form in ("%Y%m%dT%H%M%S", "%Y%m%d"):
        try:
            end = datetime.strptime(text.removesuffix("Z"), form)  # noqa: DTZ007  wall clock
        except ValueError:
            continue
        return end if "T" in form else end + timedelta(days=1, seconds=-1)
    raise ValueError("recurrence: UNTIL must be a time like 20251231T235959")


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_OCCURRENCES:
        raise ValueError(f"recurrence: COUNT must be between 1 and {MAX_OCCURRENCES}")
    return int(text)


def _expand(rule_text: str, start: datetime, limit: int) -> tuple[datetime, ...]:
    try:
        starts = tuple(islice(rrulestr(rule_text, dtstart=start), limit))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"recurrence: not an RRULE: {error}") from None
    if len(starts) > MAX_OCCURRENCES:
        raise ValueError(f"recurrence: more than {MAX_OCCURRENCES} occurrences")
    return starts
