"""Shares among equals: a seeded weighted draw, or smooth turns.

The draw of a candidate depends on the seed and its own id alone, so that adding or pausing another never
changes the order of the rest. Sorting by `-ln(u) / w` orders without replacement with each first place won in
proportion to weight (Efraimidis and Spirakis, 2006).

The turns follow Tijdeman's solution of the chairman assignment problem (1980): with n candidates the number
of calls that each was given never differs from its share by more than 1 - 1/(2n-2), that is, by a call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def salt_of(kind: str, row_id: int, within: int = 0) -> int:
    """What distinguishes one candidate from another; `within` is the group of a member."""
    return _mix((row_id * 2 + (kind == "group")) * _GOLDEN + within * 0xD1B54A32D192ED03)


def start_of(seed: int) -> int:
    """The seed of a decision, spread over 64 bits once."""
    return _mix(seed & _MASK)


def draw(start: int, salt: int) -> float:
    """A number in (0, 1], the same for the same seed and candidate everywhere."""
    z = (start + salt) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (((z ^ (z >> 31)) >> 11) + 1) * 2.0**-53


def rank_of(drawn: float, weight: int) -> float:
    """Sort ascending by this. Weight 0 comes last."""
    return -math.log(drawn) / weight if weight > 0 else math.inf


def _mix(value: int) -> int:
    """splitmix64's finisher."""
    z = (value + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Turns(NamedTuple):
    """`order` are indexes into what was given. `forgiven[i]` must be added to the count of i, beside 1 for
    the one that gets the call: a candidate that was away is owed less than two calls, not all it missed.
    """

    order: tuple[int, ...]
    forgiven: tuple[int, ...]


def smooth_order(weights: Sequence[int], counts: Sequence[int]) -> Turns:
    """Who is next, from weights (> 0) and the calls that each was given so far."""
    forgiven = _forgiven(weights, counts)
    have = [n + extra for n, extra in zip(counts, forgiven, strict=True)]
    total, slots = sum(weights), max(1, 2 * len(weights) - 2)
    unit, turn = math.lcm(*weights), sum(have) + 1

    def key(i: int) -> tuple[bool, int, int]:
        w, n = weights[i], have[i]
        due = slots * (w * turn - n * total) >= total  # share so far minus count is at least 1/(2n-2)
        deadline = ((n + 1) * slots - 1) * (unit // w)
        return not due, deadline, i

    return Turns(tuple(sorted(range(len(weights)), key=key)), forgiven)


def _forgiven(weights: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
    """The least to add so that nobody is two calls behind; nothing while nobody is more than one behind.

    With time T = calls / total weight, raising i to w*T - 1 makes T grow too: T solves
    T * (W - w of the raised) = calls of the others - number of the raised. Levels are rounded down, so that
    T is not passed and asking again adds nothing.
    """
    total, calls = sum(weights), sum(counts)
    if all(w * calls - n * total <= total for w, n in zip(weights, counts, strict=True)):
        return (0,) * len(weights)
    order = sorted(range(len(weights)), key=lambda i: ((counts[i] + 1) / weights[i], i))
    left, rest, raised = total, calls, 0
    for i in order[:-1]:
        if (counts[i] + 1) * left >= weights[i] * (rest - raised):
            break
        left, rest, raised = left - weights[i], rest - counts[i], raised + 1
    top = rest - raised  # T = top / left
    level = (w * top // left - 1 for w in weights)
    return tuple(max(0, up - n) for up, n in zip(level, counts, strict=True))
