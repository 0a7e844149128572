"""Every counter that a decision may ask for, in memory, brought up to date before each decision.

Measured: reading the counters of 100 buyers from SQLite costs about 3 ms of processor time, looking at what
changed since the last decision some 50 µs. Each ledger transaction of any process stamps what it changes
with the next `rev`, so `rev > seen` is exactly what is new, by whichever process.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from sys import intern
from typing import Any

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.tx import Connection

_COLUMNS = "scope, scope_id, metric, period, period_key, used + held, rev"
_CHANGED = f"SELECT {_COLUMNS} FROM cap_counters WHERE rev > ?"  # noqa: S608 — constants
_CURRENT = (
    f"SELECT {_COLUMNS} FROM cap_counters WHERE period NOT IN ('hour', 'day', 'month') "  # noqa: S608
    "OR period_key >= ? OR (period = 'month' AND period_key >= ?)"
)
KEEP = timedelta(days=3)

Rows = Sequence[tuple[Any, ...]]


class Mirror:
    """`counters` is committed plus held by key; what is absent is zero. Periods long over are forgotten
    daily.
    """

    def __init__(self) -> None:
        self.counters: dict[CounterKey, int] = {}
        self._rev = 0
        self._day = ""

    @property
    def loaded(self) -> bool:
        return self._day != ""

    def current(self, connection: Connection, now: int) -> Rows:
        """Every counter of a period not long over. `now` is epoch ms."""
        cutoff = _cutoff(now)
        return connection.rows(_CURRENT, (cutoff, cutoff[:7]))

    def changed(self, connection: Connection) -> Rows:
        """What changed since the last `take`."""
        return connection.rows(_CHANGED, (self._rev,))

    def start(self, rows: Rows, now: int) -> None:
        """Begin with what `current` found."""
        self._day = _cutoff(now)
        self.take(rows, now)

    def take(self, rows: Rows, now: int) -> None:
        """Bring `counters` up to date with what was read; on the event loop, so that it never changes in a decision."""
        for scope, scope_id, metric, period, period_key, total, rev in rows:
            key = CounterKey(intern(scope), scope_id, intern(metric), intern(period), intern(period_key))
            self.counters[key] = total
            if rev > self._rev:
                self._rev = rev
        cutoff = _cutoff(now)
        if cutoff != self._day:
            self._day = cutoff
            self.counters = {key: n for key, n in self.counters.items() if not _is_over(key, cutoff)}


def _cutoff(now: int) -> str:
    """The date before which hours and days are over in every zone, and out of any live call's reach."""
    return (datetime.fromtimestamp(now / 1000, UTC) - KEEP).date().isoformat()


def _is_over(key: CounterKey, cutoff: str) -> bool:
    if key.period in ("hour", "day"):
        return key.period_key < cutoff
    return key.period == "month" and key.period_key < cutoff[:7]
