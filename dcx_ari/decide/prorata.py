"""Shares of money that add up: the rent of a number for some days, and a sum split by weights."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date, timedelta


def rent_cents(monthly_cents: int, first: date, last: date) -> int:
    """What `first` to `last` (both included) cost of a monthly rent, whole cents.

    Whole months cost exactly the rent; days of a month are rounded so that any way of cutting a month into ranges
    adds up to it.
    """
    total = 0
    while first <= last:
        days = calendar.monthrange(first.year, first.month)[1]
        end = min(last, first.replace(day=days))
        total += monthly_cents * end.day // days - monthly_cents * (first.day - 1) // days
        first = end + timedelta(days=1)
    return total


def split(cents: int, weights: Sequence[int]) -> list[int]:
    """`cents` in shares like `weights` (none negative), by largest remainder: the shares add up to it exactly.

    Equal remainders go to the first. All weights zero: nothing to anybody.
    """
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    shares = [cents * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: -(cents * weights[i] % total))
    for index in order[: cents - sum(shares)]:
        shares[index] += 1
    return shares
