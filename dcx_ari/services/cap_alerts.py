"""Tells when caps fill up: a look at the counters that changed, every few seconds, off the calls' path.

An alert is claimed in the transaction that writes it to the outbox, so it is told once however often this looks,
and whoever does. What was missed while nobody looked is found by the look at all counters after a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import text
from sqlmodel import col, select

from dcx_ari.decide.cap_alerts import claim_key, reached, remembered_until
from dcx_ari.decide.caps import Cap, CounterKey, caps_of
from dcx_ari.decide.periods import Period, period_keys, zone_of
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.store.db import Database
from dcx_ari.store.leases import claim
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.outbox import tell

LOOK_MS = 2_000
_ALL_MS = 600_000
_CHANGED_MS = 60_000  # limits that changed are compared anew, this often at most
_NEWEST = text("SELECT COALESCE(MAX(rev), 0) FROM cap_counters")
_COUNTED = ("hour", "day", "month", "total")


@dataclass(frozen=True, slots=True)
class Alert:
    """A counter that came to thresholds, with the cap it belongs to and the name of its row."""

    key: CounterKey
    used: int
    limit: int
    name: str
    percents: tuple[int, ...]


class CapAlerts:
    """`run` is the job; see `jobs.Job`."""

    def __init__(self, database: Database, snapshot: Callable[[], Snapshot]) -> None:
        self._database = database
        self._snapshot = snapshot
        self._rev = -1
        self._all_at = -_ALL_MS
        self._version = -1
        self._told: set[str] = set()  # claims that are known to be taken

    async def run(self, now: int) -> int:
        snapshot = self._snapshot()
        waited = now - self._all_at
        everything = waited >= _ALL_MS or (snapshot.version != self._version and waited >= _CHANGED_MS)
        if everything:
            self._all_at, self._version = now, snapshot.version
            self._told.clear()
        if not everything and await self._newest() == self._rev:
            return now + LOOK_MS
        alerts, rev = await self._look(snapshot, now, everything)
        if alerts:
            await self._tell(alerts, now)
        self._rev = rev
        return now + LOOK_MS

    async def _newest(self) -> int:
        """The newest revision of any counter; the end of an index."""
        async with self._database.read_connection() as connection:
            return int((await connection.execute(_NEWEST)).scalar_one())

    async def _look(self, snapshot: Snapshot, now: int, everything: bool) -> tuple[list[Alert], int]:
        """What is new, and the revision up to which was looked."""
        row = CapCounter
        query = select(row).where(col(row.period).in_(_COUNTED), col(row.used) > 0)
        newest = await self._newest()  # before the rows: what comes in between is looked at again
        query = (
            query.where(col(row.period_key).in_(_current(snapshot, now)))
            if everything
            else query.where(col(row.rev) > self._rev)
        )
        async with self._database.read() as session:
            rows = (await session.exec(query)).all()
        return list(self._alerts(snapshot, rows)), newest

    def _alerts(self, snapshot: Snapshot, counters: Sequence[CapCounter]) -> Iterator[Alert]:
        rows: dict[str, Any] = {
            "buyer": snapshot.buyers,
            "group": snapshot.groups,
            "campaign": snapshot.campaigns,
            "source": snapshot.sources,
        }
        for each in counters:
            key, used = CounterKey(each.scope, each.scope_id, each.metric, each.period, each.period_key), each.used
            found = rows.get(key.scope, {}).get(key.scope_id)
            cap = _cap(found, key) if found is not None else None
            if cap is None or cap.limit is None:
                continue
            percents = tuple(p for p in reached(used, cap.limit) if claim_key(key, p) not in self._told)
            if percents:
                yield Alert(key, used, cap.limit, found.name, percents)

    async def _tell(self, alerts: Sequence[Alert], now: int) -> None:
        """Each threshold is claimed; where several are new, the highest one is told."""
        async with self._database.write() as session:
            for each in alerts:
                until = remembered_until(cast("Period", each.key.period), now)
                new = [p for p in each.percents if await claim(session, claim_key(each.key, p), now, keep_until=until)]
                if new:
                    await tell(session, "cap.reached", _data(each, max(new)), at_ms=now)
        self._told.update(claim_key(each.key, percent) for each in alerts for percent in each.percents)


def _data(alert: Alert, percent: int) -> dict[str, Any]:
    key = alert.key
    return {
        "scope": key.scope,
        "scope_id": key.scope_id,
        "name": alert.name,
        "metric": key.metric,
        "period": key.period,
        "period_key": key.period_key,
        "percent": percent,
        "used": alert.used,
        "limit": alert.limit,
    }


def _cap(row: Any, key: CounterKey) -> Cap | None:
    """The row's cap that the counter counts for: its smallest limit, where two count the same."""
    caps = [
        cap for cap in caps_of(row) if (cap.metric, cap.period) == (key.metric, key.period) and cap.limit is not None
    ]
    return min(caps, key=lambda cap: cap.limit or 0, default=None)


def _current(snapshot: Snapshot, now: int) -> list[str]:
    """Keys of the periods that it is now, in every zone that is in use."""
    rows = (snapshot.buyers, snapshot.groups, snapshot.campaigns, snapshot.sources)
    zones = {snapshot.company_zone, *(row.timezone for kind in rows for row in kind.values() if row.timezone)}
    return sorted({key for zone in zones for key in period_keys(now, zone_of(zone)).values()})
