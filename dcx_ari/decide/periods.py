"""Periods of counting: hour, day and month on the wall clock of an IANA zone, total, and concurrent.

Counters are never reset; a counter of a new period simply has another key. A day with 23 or 25 hours is one
day. Each hour of the wall clock is one period; the hour that a clock change repeats is two (the UTC offset is
part of the key), so that an hourly cap is never spread over 120 minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["concurrent", "hour", "day", "month", "total"]
PERIODS: tuple[Period, ...] = ("concurrent", "hour", "day", "month", "total")

_HOUR_MS = 3_600_000


def zone_of(name: str) -> ZoneInfo:
    """The zone with this IANA name. Raises ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}") from None


def local(at_ms: int, zone: ZoneInfo) -> datetime:
    """The instant on the wall clock of `zone`."""
    return datetime.fromtimestamp(at_ms / 1000, zone)


def to_ms(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime, exactly (no float)."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def period_key(period: Period, at_ms: int, zone: ZoneInfo) -> str:
    """`now`, `2026-11-01T01-0400`, `2026-11-01`, `2026-11` or `all`."""
    return period_keys(at_ms, zone)[period]


def period_keys(at_ms: int, zone: ZoneInfo) -> Mapping[Period, str]:
    """The key of every period that contains the instant; the same object within a minute."""
    return _keys_in_minute(at_ms // 60_000, zone)


@lru_cache(maxsize=256)
def _keys_in_minute(minute: int, zone: ZoneInfo) -> Mapping[Period, str]:
    # Offsets are whole minutes in every zone since 1972, so no period begins within a minute.
    stamp = local(minute * 60_000, zone).strftime("%Y-%m-%dT%H%z")
    return {
        "concurrent": "now",
        "hour": stamp,
        "day": stamp[:10],
        "month": stamp[:7],
        "total": "all",
    }


def resets_at(period: Period, at_ms: int, zone: ZoneInfo) -> int | None:
    """The first instant of the next period; None for those that do not end by the clock."""
    if period in ("concurrent", "total"):
        return None
    here = local(at_ms, zone)
    if period == "hour":
        return _next_hour(here, at_ms, zone)
    if period == "day":
        return first_instant(here.date() + timedelta(days=1), zone)
    following = (here.date().replace(day=1) + timedelta(days=31)).replace(day=1)
    return first_instant(following, zone)


def first_instant(day: date, zone: ZoneInfo) -> int:
    """The instant at which a date begins.

    Where clocks skip midnight, `fold=0` reads the missing 00:00 with the offset before the change, which is
    exactly the instant of the change (PEP 495).
    """
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def _next_hour(here: datetime, at_ms: int, zone: ZoneInfo) -> int:
    into = (here.minute * 60 + here.second) * 1000 + here.microsecond // 1000
    end = at_ms - into + _HOUR_MS
    if local(end - 1, zone).utcoffset() == here.utcoffset():
        return end
    low, high = at_ms, end - 1  # the clock changes inside the hour: find the change
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle, zone).utcoffset() == here.utcoffset():
            low = middle
        else:
            high = middle
    return high
