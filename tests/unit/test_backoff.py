"""The schedule of attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.decide.backoff import ATTEMPTS, DELAYS_S, next_delay_ms, retry_after

pytestmark = pytest.mark.unit


def test_the_schedule_of_the_specification_is_over_after_seventy_five_hours():
    delays = [next_delay_ms(attempts, 0.0) for attempts in range(1, ATTEMPTS + 1)]
    assert delays == [*(each * 1000 for each in DELAYS_S), None]
    assert sum(DELAYS_S) == 75 * 3600 + 35 * 60 + 5


@given(st.integers(1, ATTEMPTS - 1), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 10**9))
def test_never_sooner_than_the_schedule_or_what_was_asked_for_nor_much_later(
    attempts: int, draw: float, asked: float | None
):
    delay = next_delay_ms(attempts, draw, asked)
    assert delay is not None
    least = max(DELAYS_S[attempts - 1], min(asked or 0, 86_400))
    assert round(least * 1000) <= delay <= round(max(DELAYS_S[attempts - 1] * 1.2, least) * 1000)


def test_the_jitter_spreads():
    assert next_delay_ms(2, 0.0) == 300_000
    assert next_delay_ms(2, 0.5) == 330_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("", None), ("120", 120.0), (" 7 ", 7.0), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after(header: str | None, seconds: float | None):
    assert retry_after(header) == seconds
