"""Periods and schedules on the wall clock: days of 23 and 25 hours, month ends, leap days, other zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.decide.periods import PERIODS, first_instant, local, period_key, period_keys, resets_at, to_ms, zone_of
from dcx_ari.decide.recurrence import parse_recurrence
from dcx_ari.decide.rows import Schedule
from dcx_ari.decide.schedules import CompiledSchedule, compile_schedule

from .world import ALWAYS, DAYS, at

pytestmark = pytest.mark.unit

HOUR = 3_600_000
ZONES = (
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Cairo",
    "Europe/London",
    "Pacific/Apia",
    "UTC",
)
instants = st.integers(at("2009-01-01T00:00", "UTC"), at("2032-01-01T00:00", "UTC"))


@given(instants, st.sampled_from(ZONES), st.sampled_from(PERIODS))
@settings(max_examples=300, deadline=None)
def test_a_period_lasts_until_it_resets_and_not_longer(moment: int, name: str, period: Any) -> None:
    zone = zone_of(name)
    end = resets_at(period, moment, zone)
    if end is None:
        assert period in ("concurrent", "total")
        return
    assert end > moment
    assert period_key(period, end - 1, zone) == period_key(period, moment, zone)
    assert period_key(period, end, zone) != period_key(period, moment, zone)


@pytest.mark.parametrize(("date", "hours"), [("2026-03-08", 23), ("2026-03-09", 24), ("2026-11-01", 25)])
def test_a_day_with_a_clock_change_is_one_day(date: str, hours: int) -> None:
    zone = zone_of("America/New_York")
    start = at(f"{date}T00:00")
    end = resets_at("day", start, zone)
    assert end is not None
    assert end - start == hours * HOUR
    keys = {period_key("hour", start + n * HOUR, zone) for n in range(hours)}
    assert len(keys) == hours


def test_month_ends_and_leap_days() -> None:
    zone = zone_of("America/New_York")
    assert resets_at("month", at("2028-02-29T23:59"), zone) == at("2028-03-01T00:00")
    assert resets_at("day", at("2028-02-28T12:00"), zone) == at("2028-02-29T00:00")
    assert resets_at("month", at("2026-12-31T23:59"), zone) == at("2027-01-01T00:00")
    assert period_keys(at("2028-02-29T10:00"), zone)["month"] == "2028-02"


def test_a_date_whose_midnight_is_skipped_begins_at_the_change() -> None:
    zone = zone_of("Africa/Cairo")
    start = first_instant(datetime(2026, 4, 24).date(), zone)  # noqa: DTZ001
    assert local(start, zone).hour == 1
    assert local(start - 1, zone).day == 23


def test_one_instant_is_two_dates_in_two_zones() -> None:
    moment = at("2026-03-10T23:30")
    assert period_key("day", moment, zone_of("America/New_York")) == "2026-03-10"
    assert period_key("day", moment, zone_of("Asia/Kolkata")) == "2026-03-11"


def test_unknown_zones_are_refused() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", "", "America"):
        with pytest.raises(ValueError, match="unknown time zone"):
            zone_of(name)


def schedule(**fields: Any) -> CompiledSchedule:
    return compile_schedule(Schedule(1, **{"timezone": "America/New_York", **fields}))


def test_weekly_hours_and_the_next_change() -> None:
    week = schedule(weekly={"mon": [["09:00", "12:00"], ["13:00", "17:00"]]})
    assert not week.is_open(at("2026-03-09T08:59"))
    assert week.state_at(at("2026-03-09T08:59")).next_change == at("2026-03-09T09:00")
    assert week.state_at(at("2026-03-09T10:00")).next_change == at("2026-03-09T12:00")
    assert week.state_at(at("2026-03-09T17:00")).next_change == at("2026-03-16T09:00")


def test_hours_that_cross_midnight_belong_to_the_day_they_start_on() -> None:
    night = schedule(weekly={"fri": [["22:00", "02:00"]]})
    assert night.is_open(at("2026-03-14T01:59"))
    assert not night.is_open(at("2026-03-14T02:00"))
    assert not night.is_open(at("2026-03-13T01:00"))
    cut = schedule(weekly={"fri": [["22:00", "02:00"]]}, exceptions=({"date": "2026-03-14", "closed": True},))
    assert not cut.is_open(at("2026-03-14T01:00"))
    assert cut.is_open(at("2026-03-13T23:59"))


def test_exception_beats_holiday_beats_week() -> None:
    week = {**ALWAYS}
    plain = schedule(weekly=week, holidays={"country": "US"})
    state = plain.state_at(at("2026-12-25T12:00"))
    assert (state.open, state.why, state.next_change) == (False, "holiday", at("2026-12-26T00:00"))
    hours = ({"date": "2026-12-25", "hours": [["10:00", "14:00"]]},)
    special = schedule(weekly=week, holidays={"country": "US"}, exceptions=hours)
    assert special.state_at(at("2026-12-25T12:00")).why == "exception"
    assert special.is_open(at("2026-12-25T12:00"))
    assert not special.is_open(at("2026-12-25T14:00"))


def test_recurrences_open_and_close_and_closing_wins() -> None:
    closing = {"rrule": "FREQ=MONTHLY;BYDAY=1MO;COUNT=24", "dtstart": "2026-01-05T12:00", "duration_minutes": 60}
    opening = {
        "rrule": "FREQ=WEEKLY;UNTIL=20261231",
        "dtstart": "2026-03-01T10:00",
        "duration_minutes": 120,
        "closed": False,
    }
    rule = schedule(weekly={"mon": [["09:00", "17:00"]]}, recurrence=({**closing, "closed": True}, opening))
    assert rule.is_open(at("2026-03-01T11:59"))
    assert not rule.is_open(at("2026-03-01T12:00"))
    assert not rule.is_open(at("2026-03-02T12:30"))
    assert rule.state_at(at("2026-03-02T12:30")).next_change == at("2026-03-02T13:00")
    assert rule.is_open(at("2026-03-09T12:30"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"rrule": "FREQ=DAILY", "dtstart": "2026-01-01T00:00"}, "must end"),
        ({"rrule": "FREQ=DAILY;UNTIL=21000101", "dtstart": "2026-01-01T00:00"}, "further than"),
        ({"rrule": "FREQ=SECONDLY;COUNT=5", "dtstart": "2026-01-01T00:00"}, "FREQ"),
        ({"rrule": "FREQ=HOURLY;UNTIL=20400101", "dtstart": "2026-01-01T00:00"}, "more than"),
        ({"rrule": "FREQ=DAILY;COUNT=0", "dtstart": "2026-01-01T00:00"}, "COUNT"),
        ({"rrule": "FREQ=DAILY;COUNT=2", "dtstart": "soon"}, "dtstart"),
        ({"rrule": "FREQ=DAILY;COUNT=2", "dtstart": "2026-01-01T00:00Z"}, "without an offset"),
        ({"rrule": "FREQ=DAILY;COUNT=2;BYDAY=XX", "dtstart": "2026-01-01T00:00"}, "not an RRULE"),
    ],
)
def test_recurrences_that_cannot_be_written_out_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_recurrence(entry)


def test_a_recurrence_that_never_matches_is_found_out_quickly() -> None:
    never = {"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1", "dtstart": "2026-01-01T00:00"}
    assert parse_recurrence(never).starts == ()


def test_open_all_week_never_changes() -> None:
    state = schedule(weekly=ALWAYS).state_at(at("2026-03-08T01:59"))
    assert (state.open, state.next_change) == (True, None)


def naive_open(weekly: dict[str, Any], moment: int, zone: str) -> bool:
    """The rule in its plainest form: what does the wall clock say?"""
    here = local(moment, zone_of(zone))
    minute = here.hour * 60 + here.minute
    for back in (0, 1):
        day = DAYS[(here.weekday() - back) % 7]
        for start, end in weekly.get(day, ()):
            first, last = (int(t[:2]) * 60 + int(t[3:]) for t in (start, end))
            last += 1440 if last <= first else 0
            if first <= minute + back * 1440 < last:
                return True
    return False


clock = st.builds(lambda h, m: f"{h:02d}:{m:02d}", st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
weeks = st.dictionaries(st.sampled_from(DAYS), st.lists(st.tuples(clock, clock), max_size=2))


@given(weeks, st.sampled_from(ZONES), instants)
@settings(max_examples=150, deadline=None)
def test_pieces_agree_with_the_wall_clock_and_next_change_is_the_first(
    weekly: dict[str, Any], zone: str, moment: int
) -> None:
    compiled = compile_schedule(Schedule(1, timezone=zone, weekly=weekly))
    state = compiled.state_at(moment)
    assert state.open == naive_open(weekly, moment, zone)
    end = state.next_change
    if end is None:
        return
    assert naive_open(weekly, end, zone) != state.open
    assert naive_open(weekly, end - 1, zone) == state.open
    step = max(60_000, (end - moment) // 40)
    assert all(naive_open(weekly, t, zone) == state.open for t in range(moment, end, step))


@given(
    weeks,
    st.sampled_from(
        [
            ("America/New_York", "2026-03-08"),
            ("America/New_York", "2026-11-01"),
            ("Australia/Lord_Howe", "2026-04-05"),
            ("Africa/Cairo", "2026-04-24"),
        ]
    ),
)
@settings(max_examples=40, deadline=None)
def test_days_of_23_and_25_hours(weekly: dict[str, Any], where: tuple[str, str]) -> None:
    zone, date = where
    compiled = compile_schedule(Schedule(1, timezone=zone, weekly=weekly))
    start = first_instant(datetime.fromisoformat(date).date(), zone_of(zone))
    for moment in range(start - HOUR, start + 26 * HOUR, HOUR // 4):
        assert compiled.is_open(moment) == naive_open(weekly, moment, zone)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "zone"),
        ({"weekly": {"monday": []}}, "weekly"),
        ({"weekly": {"mon": [["9:00", "17:00"]]}}, "weekly"),
        ({"weekly": {"mon": [["24:00", "17:00"]]}}, "weekly"),
        ({"weekly": {"mon": [["09:00"]]}}, "weekly"),
        ({"holidays": {"country": "Utopia"}}, "holidays"),
        ({"exceptions": ({"date": "Christmas", "closed": True},)}, "exceptions"),
        ({"exceptions": ({"date": "2026-12-25"},)}, "exceptions"),
    ],
)
def test_bad_schedules_are_refused_with_their_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(**fields)


def test_milliseconds_are_exact() -> None:
    moment = datetime(2026, 3, 10, 12, 0, 0, 1000, tzinfo=UTC) + timedelta(days=400)
    assert to_ms(moment) % 1000 == 1
