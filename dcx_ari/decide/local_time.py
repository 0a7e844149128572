"""When a call came on the company's wall clock: what lists and reports filter and group by."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.periods import local


class LocalTime(NamedTuple):
    """`day` is 20260131; `weekday` 1 is Monday and 7 Sunday (ISO 8601); `minute` counts from midnight, 0 to 1439.

    Both passes of an hour that a clock change repeats have the same `hour` and `minute`: it is what the clock showed.
    """

    day: int
    hour: int
    weekday: int
    minute: int


def local_time(at_ms: int, zone: ZoneInfo) -> LocalTime:
    """The parts of an instant (epoch ms) in `zone`."""
    return _in_minute(at_ms // 60_000, zone)


@lru_cache(maxsize=64)
def _in_minute(minute: int, zone: ZoneInfo) -> LocalTime:
    # Offsets are whole minutes in every zone since 1972, so all of a minute has the same parts.
    here = local(minute * 60_000, zone)
    day = here.year * 10_000 + here.month * 100 + here.day
    return LocalTime(day, here.hour, here.isoweekday(), here.hour * 60 + here.minute)
