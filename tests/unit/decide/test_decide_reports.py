"""Growth in words, ranges of days, shares that add up, when a report is due, what a live call is doing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.decide.date_ranges import RANGES, days_between, named_range
from dcx_ari.decide.delta import delta, delta_text
from dcx_ari.decide.live import live_status
from dcx_ari.decide.prorata import rent_cents, split
from dcx_ari.decide.report_times import due_now, next_run

pytestmark = pytest.mark.unit

NEW_YORK = ZoneInfo("America/New_York")
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))


def ms(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


def local(at: int, zone: ZoneInfo = NEW_YORK) -> str:
    return datetime.fromtimestamp(at / 1000, zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (45, 40, "+12%"),  # 12.5: truncated, as the documents print it
        (150, 130, "+15%"),  # 15.38
        (5000, 4500, "+11%"),  # 11.1
        (40, 45, "-11%"),  # -11.1: toward zero
        (0, 40, "-100%"),
        (80, 40, "+100%"),
        (40, 40, "+0%"),
        (199, 200, "+0%"),  # a fall of less than one percent is none
        (201, 200, "+0%"),
        (0, 0, "+0%"),
        (7, 0, None),
        (-7, 0, None),
        (50, -100, "+150%"),  # a loss that became a gain
        (-150, -100, "-50%"),
        (10**15, 1, "+99999999999999900%"),
    ],
)
def test_growth(now: int, before: int, expected: str | None):
    assert delta(now, before) == expected
    assert delta_text(now, before) == (expected or "new")


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12).filter(bool))
def test_growth_always_has_a_sign_and_never_says_more_than_there_is(now: int, before: int):
    found = delta(now, before)
    assert found is not None
    assert found[0] in "+-"
    assert found.endswith("%")
    assert abs(int(found[:-1])) * abs(before) <= abs(now - before) * 100


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", "2026-03-10", "2026-03-10"),
        ("yesterday", "2026-03-09", "2026-03-09"),
        ("last_7_days", "2026-03-04", "2026-03-10"),
        ("last_30_days", "2026-02-09", "2026-03-10"),
        ("this_week", "2026-03-09", "2026-03-10"),  # a Tuesday
        ("last_week", "2026-03-02", "2026-03-08"),
        ("this_month", "2026-03-01", "2026-03-10"),
        ("last_month", "2026-02-01", "2026-02-28"),
    ],
)
def test_named_ranges_are_days_of_the_company(name: str, first: str, last: str):
    # 23:30 on the 10th in New York is the 11th in UTC already.
    found = named_range(name, ms("2026-03-10T23:30"), NEW_YORK)  # type: ignore[arg-type]
    assert (str(found.first), str(found.last)) == (first, last)
    assert found.from_ms == ms(f"{first}T00:00")
    assert found.to_ms == ms(f"{date.fromisoformat(last) + timedelta(days=1)}T00:00")


def test_days_with_a_clock_change_are_whole():
    spring = days_between(date(2026, 3, 8), date(2026, 3, 8), NEW_YORK)
    autumn = days_between(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK)
    assert (spring.to_ms - spring.from_ms, autumn.to_ms - autumn.from_ms) == (23 * 3_600_000, 25 * 3_600_000)


def test_the_last_24_hours_are_not_days():
    now = ms("2026-03-08T12:00")  # the clock was put forward that night
    found = named_range("last_24h", now, NEW_YORK)
    assert (found.from_ms, found.to_ms) == (now - 86_400_000, now)
    assert (str(found.first), str(found.last)) == ("2026-03-07", "2026-03-08")


@given(st.sampled_from(RANGES), st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001
def test_every_range_is_in_order_and_does_not_reach_past_today(name: str, at: datetime):
    now = round(at.replace(tzinfo=UTC).timestamp() * 1000)
    found = named_range(name, now, NEW_YORK)  # type: ignore[arg-type]
    assert found.from_ms < found.to_ms
    assert found.first <= found.last <= datetime.fromtimestamp(now / 1000, NEW_YORK).date()


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-01-02", "2026-01-01"), ("2026-01-01", "2036-12-31"), ("1960-01-01", "1960-01-02")],
)
def test_ranges_that_cannot_be(first: str, last: str):
    with pytest.raises(ValueError, match="must"):
        days_between(date.fromisoformat(first), date.fromisoformat(last), NEW_YORK)


def test_a_month_costs_its_rent():
    assert rent_cents(199, date(2026, 2, 1), date(2026, 2, 28)) == 199
    assert rent_cents(199, date(2026, 2, 1), date(2026, 3, 31)) == 398
    assert rent_cents(310, date(2026, 1, 1), date(2026, 1, 3)) == 30
    assert rent_cents(310, date(2026, 1, 3), date(2026, 1, 1)) == 0


@given(st.integers(0, 100_000), DAYS, st.integers(0, 120), st.data())
def test_however_a_range_is_cut_its_rent_is_the_same(monthly: int, first: date, length: int, data: st.DataObject):
    last = first + timedelta(days=length)
    cut = first + timedelta(days=data.draw(st.integers(0, length)))
    parts = rent_cents(monthly, first, cut) + rent_cents(monthly, cut + timedelta(days=1), last)
    assert parts == rent_cents(monthly, first, last)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_shares_add_up_and_are_no_more_than_a_cent_off(cents: int, weights: list[int]):
    shares = split(cents, weights)
    total = sum(weights)
    assert sum(shares) == (cents if total else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert total == 0 or abs(share * total - cents * weight) < total


@pytest.mark.parametrize(
    ("frequency", "at", "after", "due"),
    [
        ("daily", "08:00", "2026-01-05T07:59", "2026-01-05T08:00-05:00"),
        ("daily", "08:00", "2026-01-05T08:00", "2026-01-06T08:00-05:00"),  # later than, never the same again
        ("weekly", "08:00", "2026-01-05T09:00", "2026-01-12T08:00-05:00"),  # a Monday
        ("monthly", "08:00", "2026-02-01T00:00", "2026-02-28T08:00-05:00"),  # the 31st
        ("monthly", "08:00", "2026-02-28T08:00", "2026-03-31T08:00-04:00"),
        ("daily", "02:30", "2026-03-08T00:00", "2026-03-08T03:30-04:00"),  # the clock skips 02:30
        ("daily", "01:30", "2026-11-01T00:00", "2026-11-01T01:30-04:00"),  # it shows 01:30 twice
        ("daily", "01:30", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30-05:00"),
        ("daily", "24:00", "2026-01-05T12:00", "2026-01-06T00:00-05:00"),
    ],
)
def test_when_a_report_is_due(frequency: str, at: str, after: str, due: str):
    assert local(next_run(frequency, at, "mon", 31, NEW_YORK, ms(after))) == due  # type: ignore[arg-type]


def test_of_missed_runs_the_latest_is_made_up_for():
    plan = ("daily", "08:00", "mon", 1, NEW_YORK)
    due, following = due_now(*plan, ms("2026-01-05T08:00"), ms("2026-01-09T10:00"))  # type: ignore[arg-type]
    assert (local(due), local(following)) == ("2026-01-09T08:00-05:00", "2026-01-10T08:00-05:00")
    due, following = due_now(*plan, ms("2026-01-05T08:00"), ms("2026-01-05T08:00"))  # type: ignore[arg-type]
    assert (local(due), local(following)) == ("2026-01-05T08:00-05:00", "2026-01-06T08:00-05:00")


@pytest.mark.parametrize(
    ("stage", "talking", "ringing", "answered", "status"),
    [
        ("arrived", False, False, False, "ringing"),
        ("menu", False, False, True, "in-progress"),
        ("ringing", False, True, False, "ringing"),
        ("ringing", False, True, True, "ringing"),  # the caller hears ringing, whoever has answered
        ("talking", True, False, True, "in-progress"),
        ("queued", False, False, True, "on-hold"),
        ("queued", True, True, True, "in-progress"),
    ],
)
def test_what_a_live_call_is_doing(stage: str, talking: bool, ringing: bool, answered: bool, status: str):
    assert live_status(stage, talking=talking, ringing=ringing, answered=answered) == status
