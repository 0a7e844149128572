"""When a report that is sent by itself is due, on the wall clock of a zone."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from dcx_ari.decide.hours import DAYS
from dcx_ari.decide.periods import local, to_ms

Frequency = Literal["daily", "weekly", "monthly"]
OF_FREQUENCY = {"daily": "yesterday", "weekly": "last_week", "monthly": "last_month"}
"""The range of days that a report is about unless another is asked for."""


def next_run(frequency: Frequency, time_of_day: str, weekday: str, month_day: int, zone: ZoneInfo, after: int) -> int:
    """The first due moment later than `after` (both epoch ms).

    `weekday` (mon to sun) counts for weekly reports, `month_day` for monthly ones: in a shorter month its last day. A
    time that the clock skips is due when the clock has been put forward; one that it shows twice, the first time.
    """
    hour, minute = int(time_of_day[:2]), int(time_of_day[3:5])
    day = local(after, zone).date()
    while True:
        if _falls_on(frequency, weekday, month_day, day):
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            due = to_ms(midnight.replace(hour=hour % 24, minute=minute) + timedelta(days=hour // 24))
            if due > after:
                return due
        day += timedelta(days=1)


def due_now(
    frequency: Frequency, time_of_day: str, weekday: str, month_day: int, zone: ZoneInfo, due: int, now: int
) -> tuple[int, int]:
    """Of runs that were due from `due` to `now`: the last of them, the only one that is made up for; and the next."""
    while (following := next_run(frequency, time_of_day, weekday, month_day, zone, due)) <= now:
        due = following
    return due, following


def _falls_on(frequency: Frequency, weekday: str, month_day: int, day: date) -> bool:
    if frequency == "daily":
        return True
    if frequency == "weekly":
        return DAYS[day.weekday()] == weekday
    return day.day == min(month_day, calendar.monthrange(day.year, day.month)[1])
