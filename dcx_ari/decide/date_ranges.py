"""Ranges of dates as reports name them: days on the company's wall clock, both ends included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from dcx_ari.decide.periods import first_instant, local

RangeName = Literal[
    "today",
    "yesterday",
    "last_24h",
    "last_7_days",
    "last_30_days",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
]
RANGES: tuple[RangeName, ...] = get_args(RangeName)
MAX_DAYS = 3_660
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class DateRange:
    """`first` to `last` day, both included; `from_ms` to `to_ms` (epoch ms, exclusive) is what belongs to it."""

    first: date
    last: date
    from_ms: int
    to_ms: int

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def days_between(first: date, last: date, zone: ZoneInfo) -> DateRange:
    """Raises ValueError where `last` is before `first`, or the range is longer than ten years."""
    if last < first:
        raise ValueError(f"must not end ({last}) before it begins ({first})")
    if (last - first).days >= MAX_DAYS or not 1970 < first.year <= last.year < 9999:
        raise ValueError(f"must be at most {MAX_DAYS} days long, after 1970")
    return DateRange(first, last, first_instant(first, zone), first_instant(last + timedelta(days=1), zone))


def named_range(name: RangeName, now: int, zone: ZoneInfo) -> DateRange:
    """The range of this name at `now` (epoch ms). Ranges that reach to today include today.

    `last_7_days` is today and the six days before; weeks begin on Monday (ISO 8601). `last_24h` is the 86,400 s up to
    `now`, so its first day is not a whole one.
    """
    today = local(now, zone).date()
    if name == "last_24h":
        return DateRange(local(now - _DAY_MS, zone).date(), today, now - _DAY_MS, now)
    first, last = _days_of(name, today)
    return days_between(first, last, zone)


def _days_of(name: RangeName, today: date) -> tuple[date, date]:
    month = today.replace(day=1)
    monday = today - timedelta(days=today.weekday())
    yesterday = today - timedelta(days=1)
    before = month - timedelta(days=1)
    days = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "last_7_days": (today - timedelta(days=6), today),
        "last_30_days": (today - timedelta(days=29), today),
        "this_week": (monday, today),
        "last_week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "this_month": (month, today),
        "last_month": (before.replace(day=1), before),
    }
    return days[name]
