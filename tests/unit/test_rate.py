"""Buckets and waiting, by a clock that stands still."""

from __future__ import annotations

import pytest
from access_kit import Clock
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.services.rate import BackOff, Limiter

pytestmark = pytest.mark.unit


def test_as_many_at_once_as_a_minute_allows_and_then_evenly():
    clock = Clock()
    limiter = Limiter(clock)
    assert [limiter.take("a", 3).remaining for _ in range(3)] == [2, 1, 0]
    refused = limiter.take("a", 3)
    assert (refused.wait_s, refused.remaining) == (pytest.approx(20.0), 0)
    assert refused.headers["Retry-After"] == "20"
    clock.s += 19.9
    assert limiter.take("a", 3).wait_s > 0
    clock.s += 0.2
    assert limiter.take("a", 3).wait_s == 0
    assert limiter.take("b", 3).remaining == 2


def test_headers_of_an_allowed_request():
    headers = Limiter(Clock()).take("a", 60).headers
    assert headers == {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "1"}


@given(st.integers(1, 600), st.lists(st.floats(0, 30), max_size=80))
def test_never_more_than_the_limit_in_any_minute(limit: int, pauses: list[float]):
    clock = Clock()
    limiter = Limiter(clock)
    allowed = []
    for pause in pauses:
        clock.s += pause
        for _ in range(20):
            if limiter.take("a", limit).wait_s == 0:
                allowed.append(clock.s)  # noqa: PERF401  the clock stands still, the bucket does not
    for at in allowed:
        assert sum(at <= each < at + 60 for each in allowed) <= 2 * limit  # a full bucket, and a minute's refill
    assert len(allowed) <= limit + (clock.s - 1_000) * limit / 60 + 1


def test_a_changed_limit_counts_at_once():
    clock = Clock()
    limiter = Limiter(clock)
    for _ in range(5):
        limiter.take("a", 100)
    assert limiter.take("a", 2).remaining == 1


def test_waiting_doubles_and_is_forgotten():
    clock = Clock()
    back_off = BackOff(clock, free=3, longest_s=10, forget_s=3_600)
    waits = []
    for _ in range(8):
        back_off.failed("ann")
        waits.append(back_off.wait_s("ann"))
        clock.s += back_off.wait_s("ann")
    assert waits == [0, 0, 1, 2, 4, 8, 10, 10]
    assert back_off.wait_s("bob") == 0
    back_off.forget("ann")
    back_off.failed("ann")
    assert back_off.wait_s("ann") == 0
    for _ in range(5):
        back_off.failed("ann")
    clock.s += 3_601
    assert back_off.failed("ann") == 1


def test_strangers_cannot_fill_the_memory():
    limiter, back_off = Limiter(Clock()), BackOff(Clock(), free=1)
    for number in range(12_000):
        limiter.take(number, 5)
        back_off.failed(number)
    assert len(limiter._buckets) == len(back_off._failures) == 10_000
