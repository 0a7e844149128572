"""Opening hours: weekly spans, holidays, recurrences and exceptions, on the wall clock of an IANA zone.

Open or closed is a question to the wall clock, so a day with 23 or 25 hours needs no rule of its own: hours
that are skipped are never asked about, hours that repeat answer twice the same.

Precedence: an exception decides its whole date; else a public holiday closes its whole date; else a
recurrence that closes; else one that opens; else the weekly spans. A span whose end is not after its start
crosses midnight and belongs to the date on which it starts; it does not reach into a date that has an
exception or a holiday.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.hours import DAYS, Span, covers, parse_spans, parse_weekly
from dcx_ari.decide.periods import first_instant, local, to_ms, zone_of
from dcx_ari.decide.recurrence import Occurrences, parse_recurrence
from dcx_ari.decide.rows import Schedule

Why = Literal["weekly", "holiday", "exception", "recurrence"]
_LOOK_AHEAD_DAYS = 400
_MEMO_DAYS = 800
_DAY = timedelta(days=1)


class Piece(NamedTuple):
    """A stretch of time `[start, end)` in epoch milliseconds with one answer."""

    start: int
    end: int
    open: bool
    why: Why


class OpenState(NamedTuple):
    """`next_change` is when the answer turns round; None where it does not within a year."""

    open: bool
    why: Why
    next_change: int | None


@dataclass(slots=True)
class CompiledSchedule:
    """A schedule that answers. Its memo of days only saves work: the answers depend on the row alone."""

    zone: ZoneInfo
    weekly: Mapping[str, tuple[Span, ...]]
    exceptions: Mapping[date, tuple[Span, ...]]
    closing: tuple[Occurrences, ...]
    opening: tuple[Occurrences, ...]
    is_holiday: Callable[[date], bool]
    _last: Piece | None = None
    _state: tuple[Piece, OpenState] | None = None
    _days: dict[date, tuple[Piece, ...]] = field(default_factory=dict)

    def is_open(self, at_ms: int) -> bool:
        return self.piece_at(at_ms).open

    def piece_at(self, at_ms: int) -> Piece:
        """The stretch (within its date) that contains the instant."""
        last = self._last
        if last is not None and last.start <= at_ms < last.end:
            return last
        here = local(at_ms, self.zone)
        for piece in self._pieces(here.date()):
            if piece.start <= at_ms < piece.end:
                self._last = piece
                return piece
        is_open, why = self._rule(here.replace(tzinfo=None))  # a clock change that moves the date
        return Piece(at_ms, at_ms + 1, is_open, why)

    def state_at(self, at_ms: int) -> OpenState:
        """Open or closed, why, and until when."""
        known = self._state
        if known is not None and known[0].start <= at_ms < known[0].end:
            return known[1]
        now = self.piece_at(at_ms)
        state = OpenState(now.open, now.why, self._turns_at(at_ms, now.open))
        self._state = (now, state)
        return state

    def _turns_at(self, at_ms: int, is_open: bool) -> int | None:
        day = local(at_ms, self.zone).date()
        for _ in range(_LOOK_AHEAD_DAYS):
            for piece in self._pieces(day):
                if piece.start > at_ms and piece.open is not is_open:
                    return piece.start
            day += _DAY
        return None

    def _pieces(self, day: date) -> tuple[Piece, ...]:
        found = self._days.get(day)
        if found is None:
            if len(self._days) >= _MEMO_DAYS:
                self._days.clear()
            found = self._days[day] = self._cut(day)
        return found

    def _cut(self, day: date) -> tuple[Piece, ...]:
        begin, end = first_instant(day, self.zone), first_instant(day + _DAY, self.zone)
        if begin == end:
            return ()  # a date that never was: Samoa left out 30 December 2011
        marks = sorted(m for m in self._marks(day, begin, end) if begin <= m < end)
        pieces: list[Piece] = []
        for mark, until in zip(marks, [*marks[1:], end], strict=True):
            answer = self._rule(local(mark, self.zone).replace(tzinfo=None))
            if pieces and (pieces[-1].open, pieces[-1].why) == answer:
                pieces[-1] = pieces[-1]._replace(end=until)
            else:
                pieces.append(Piece(mark, until, *answer))
        return tuple(pieces)

    def _marks(self, day: date, begin: int, end: int) -> set[int]:
        """Every instant of the date at which the answer may change."""
        walls: set[datetime] = set()
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  wall clock
        for spans in (self.exceptions.get(day, ()), *self.weekly.values(), *self._yesterdays(day)):
            for span in spans:
                walls.update(midnight + timedelta(minutes=m % 1440) for m in span)
        for occurrences in (*self.closing, *self.opening):
            walls.update(occurrences.edges(midnight, midnight + _DAY))
        marks = {begin, *self._clock_changes(begin, end)}
        for wall in walls:
            marks.update(to_ms(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        return marks

    def _yesterdays(self, day: date) -> tuple[tuple[Span, ...], ...]:
        return (self.exceptions.get(day - _DAY, ()),)

    def _clock_changes(self, begin: int, end: int) -> tuple[int, ...]:
        before = local(begin, self.zone).utcoffset()
        if before == local(end - 1, self.zone).utcoffset():
            return ()
        low, high = begin, end - 1
        while high - low > 1:
            middle = (low + high) // 2
            if local(middle, self.zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return (high,)

    def _rule(self, wall: datetime) -> tuple[bool, Why]:
        day, minute = wall.date(), wall.hour * 60 + wall.minute
        own = self.exceptions.get(day)
        if own is not None:
            return covers(own, minute), "exception"
        if self.is_holiday(day):
            return False, "holiday"
        if any(o.covers(wall) for o in self.closing):
            return False, "recurrence"
        if any(o.covers(wall) for o in self.opening):
            return True, "recurrence"
        spilled = covers(self._spans_of(day - _DAY), minute + 1440)
        return covers(self.weekly[DAYS[day.weekday()]], minute) or spilled, "weekly"

    def _spans_of(self, day: date) -> tuple[Span, ...]:
        own = self.exceptions.get(day)
        if own is not None:
            return own
        return () if self.is_holiday(day) else self.weekly[DAYS[day.weekday()]]


def compile_schedule(row: Schedule) -> CompiledSchedule:
    """Raises ValueError naming the field (`timezone`, `weekly`, `holidays`, `exceptions`, `recurrence`)."""
    recurrences = [parse_recurrence(r) for r in row.recurrence]
    return CompiledSchedule(
        zone=zone_of(row.timezone),
        weekly=parse_weekly(row.weekly),
        exceptions=dict(_exception(e) for e in row.exceptions),
        closing=tuple(r for r in recurrences if r.closed),
        opening=tuple(r for r in recurrences if not r.closed),
        is_holiday=_holiday_test(row.holidays),
    )


def holiday_name(wanted: Mapping[str, Any] | None, day: date) -> str | None:
    """What public holiday a date is, by `{country, subdiv}`; None for none."""
    if not wanted:
        return None
    import holidays  # takes a while to import, and most schedules have none

    calendar = holidays.country_holidays(str(wanted.get("country", "")), subdiv=wanted.get("subdiv"))
    return calendar.get(day)


def _exception(entry: Mapping[str, Any]) -> tuple[date, tuple[Span, ...]]:
    try:
        day = date.fromisoformat(str(entry["date"]))
    except (KeyError, ValueError):
        raise ValueError("exceptions: each needs a date like 2025-12-25") from None
    if entry.get("closed"):
        return day, ()
    if not entry.get("hours"):
        raise ValueError("exceptions: each needs closed or hours")
    return day, parse_spans(entry["hours"], "exceptions")


def _holiday_test(wanted: Mapping[str, Any] | None) -> Callable[[date], bool]:
    if not wanted:
        return lambda _day: False
    import holidays  # takes a while to import, and most schedules have none

    country, subdivision = str(wanted.get("country", "")), wanted.get("subdiv")
    try:
        calendar = holidays.country_holidays(country, subdiv=subdivision)
    except NotImplementedError:
        raise ValueError(f"holidays: no calendar for {country} {subdivision or ''}".rstrip()) from None
    return lambda day: day in calendar
