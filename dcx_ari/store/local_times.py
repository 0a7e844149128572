"""The calls' local times, written again: for rows from before there were any, and when the company's zone changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.engine import Connection

from dcx_ari.decide.local_time import local_time
from dcx_ari.decide.periods import first_instant, local

_HOUR_MS = 3_600_000
_BOUNDS = text("SELECT MIN(started_at), MAX(started_at) FROM calls")
_SET = text(
    "UPDATE calls SET local_day = :day, local_weekday = :weekday, "
    "local_hour = (:minute + (started_at - :low) / 60000) / 60, local_minute = :minute + (started_at - :low) / 60000 "
    "WHERE started_at >= :low AND started_at < :high"
)


def write_local_times(connection: Connection, zone: ZoneInfo) -> None:
    """Set the local columns of every call by the clock of `zone`, one day at a time."""
    first, last = connection.execute(_BOUNDS).one()
    if first is None:
        return
    for low, high in _stretches(first, last, zone):
        here = local_time(low, zone)
        connection.execute(
            _SET, {"low": low, "high": high, "day": here.day, "weekday": here.weekday, "minute": here.minute}
        )


def _stretches(first: int, last: int, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """From `first` to `last`: days, cut where the clock is changed."""
    day: date = local(first, zone).date()
    while (low := first_instant(day, zone)) <= last:
        day += timedelta(days=1)
        end = first_instant(day, zone)
        while low < end:
            high = min(end, _change_after(low, end, zone))
            yield low, high
            low = high


def _change_after(low: int, end: int, zone: ZoneInfo) -> int:
    """The first minute after `low` with another UTC offset; `end` if there is none."""
    offset = local(low, zone).utcoffset()
    at = low
    while at < end and local(at, zone).utcoffset() == offset:
        at += _HOUR_MS
    if at >= end and local(end - 1, zone).utcoffset() == offset:
        return end
    at -= _HOUR_MS
    while local(at, zone).utcoffset() == offset:
        at += 60_000
    return at


def company_zone() -> str:
    """The zone that a migration uses: it knows no settings but the environment."""
    return os.environ.get("DCX_TIMEZONE", "").strip() or "America/New_York"
