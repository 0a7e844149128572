"""Telephony cost of a leg, from the rates of its trunk."""

from __future__ import annotations

from collections.abc import Iterable

from dcx_ari.decide.rows import Rate


def rate_for(rates: Iterable[Rate], number: str) -> Rate | None:
    """The rate with the longest prefix of the number (E.164, the plus is ignored); `""` serves all others."""
    digits = number.lstrip("+")
    matching = [rate for rate in rates if digits.startswith(rate.prefix)]
    return max(matching, key=lambda rate: len(rate.prefix), default=None)


def billed_seconds(rate: Rate, answered_ms: int) -> int:
    """Whole seconds begun, at least the minimum, in full increments."""
    seconds = max(-(-answered_ms // 1000), rate.minimum_s)
    return -(-seconds // rate.increment_s) * rate.increment_s


def cost_cents(rate: Rate | None, answered_ms: int) -> int:
    """Cents for a leg that was answered for so long; 0 for one that was not, or without a rate.

    Set-up plus price per minute of the billed seconds, rounded once to a whole cent, half up.
    """
    if rate is None or answered_ms <= 0:
        return 0
    hundredths_times_60 = rate.cents_per_minute_x100 * billed_seconds(rate, answered_ms)
    return rate.setup_cents + (hundredths_times_60 + 3_000) // 6_000
