"""How often: requests a minute for each key, and waiting after failed logins.

Both count in this process only: two API processes let twice as much through. Both forget what has not been
used for long, so that strangers cannot fill the memory.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds, from anywhere, never backwards."""

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one request. `wait_s` > 0: refused, until then. `full_s`: until the whole limit is there again."""

    limit: int
    remaining: int
    wait_s: float
    full_s: float

    @property
    def headers(self) -> dict[str, str]:
        shown = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.full_s)),
        }
        return {**shown, "Retry-After": str(max(1, math.ceil(self.wait_s)))} if self.wait_s > 0 else shown


class Limiter:
    """A token bucket each: as many at once as a minute allows, refilled evenly."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable, limit: int) -> Taken:
        """One request of `who`, who may make `limit` a minute (more than 0)."""
        now = self._clock()
        tokens, at = self._buckets.pop(who, (float(limit), now))
        tokens = min(float(limit), tokens + (now - at) * limit / 60)
        allowed = tokens >= 1 - 1e-9
        if allowed:
            tokens = max(0.0, tokens - 1)
        self._buckets[who] = (tokens, now)
        _bound(self._buckets)
        wait = 0.0 if allowed else (1 - tokens) * 60 / limit
        return Taken(limit, int(tokens + 1e-9), wait, (limit - tokens) * 60 / limit)


class BackOff:
    """After `free` failures in a row each further one doubles the time to wait, from 1 s to `longest_s`.

    A success forgets; so does a quiet time of `forget_s`.
    """

    def __init__(self, clock: Clock, *, free: int, longest_s: float = 900.0, forget_s: float = 3_600.0) -> None:
        self._clock = clock
        self._free, self._longest, self._forget = free, longest_s, forget_s
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def wait_s(self, who: Hashable) -> float:
        """Seconds until `who` may try again; 0: now."""
        count, at = self._of(who)
        if count < self._free:
            return 0.0
        pause = min(self._longest, 2.0 ** min(count - self._free, 30))
        return max(0.0, at + pause - self._clock())

    def failed(self, who: Hashable) -> int:
        """How many failures in a row that makes."""
        count = self._of(who)[0] + 1
        self._failures[who] = (count, self._clock())
        self._failures.move_to_end(who)
        _bound(self._failures)
        return count

    def forget(self, who: Hashable) -> None:
        self._failures.pop(who, None)

    def _of(self, who: Hashable) -> tuple[int, float]:
        count, at = self._failures.get(who, (0, 0.0))
        return (count, at) if count and self._clock() - at < self._forget else (0, 0.0)


def _bound(table: OrderedDict[Hashable, tuple[float, float]] | OrderedDict[Hashable, tuple[int, float]]) -> None:
    while len(table) > _MOST:
        table.popitem(last=False)
