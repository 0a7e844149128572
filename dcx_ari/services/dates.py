"""Days and times as people give them: on the company's clock where they carry no offset of their own."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dcx_ari.decide.periods import first_instant, to_ms
from dcx_ari.services.errors import Invalid

_TIME = "must be a day such as 2026-01-31 or a time such as 2026-01-31T09:00"
_CLOCK = re.compile(r"(\d{1,2})(?::?([0-5]\d))?\s*(am|pm)?", re.IGNORECASE)
_LATEST = 253_000_000_000_000  # within the years that a date can name


def day_of(key: str, text: str, zone: ZoneInfo) -> tuple[int, int]:
    """First instant of a day and of the next, epoch ms. Raises Invalid."""
    try:
        day = date.fromisoformat(text.strip())
        return first_instant(day, zone), first_instant(day + timedelta(days=1), zone)
    except (ValueError, OverflowError):
        raise Invalid(key, "must be a day such as 2026-01-31") from None


def instant_of(key: str, text: str, zone: ZoneInfo, *, end: bool = False) -> int:
    """Epoch ms of a time; of a bare day its beginning or, with `end`, the beginning of the next. Raises Invalid."""
    if len(text.strip()) == 10:
        return day_of(key, text, zone)[1 if end else 0]
    try:
        moment = datetime.fromisoformat(_plus(text.strip()))
        at = to_ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Invalid(key, _TIME) from None
    if not 0 <= at < _LATEST:
        raise Invalid(key, _TIME)
    return at


def _plus(text: str) -> str:
    """`2026-01-31T09:00 02:00`, as a URL makes of an offset's + that nobody escaped."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", text)


def clock_range(key: str, text: str) -> tuple[int, int]:
    """`09:00-17:00`, `9am-5pm`: minutes of the day, first and one past the last; an end of 24:00 is 1440.

    Raises Invalid.
    """
    first, dash, last = text.partition("-")
    low, high = _minute(first), _minute(last)
    if not dash or low is None or high is None or low == 1440 or low == high:
        raise Invalid(key, "must be a range such as 09:00-17:00")
    return low, high


def _minute(text: str) -> int | None:
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    total = hour * 60 + minute
    return total if total <= 1440 else None
