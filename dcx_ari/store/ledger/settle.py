"""Settle: what becomes of an attempt's holds when the leg is answered, ends, was not dialled, or is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from dcx_ari.decide.caps import CONVERSION, CounterKey, Hold, Metric, Outcome, Scope, committed
from dcx_ari.decide.periods import Period
from dcx_ari.store.ledger.memory import HoldRow
from dcx_ari.store.ledger.reserve import configured_limit
from dcx_ari.store.ledger.tx import Params, Tx
from dcx_ari.store.ledger.types import CALL


class Freed(NamedTuple):
    """One attempt whose open holds were released."""

    call_id: str
    attempt: int


def enter(
    tx: Tx, row: HoldRow, kind: str, amount: int, at: int, *, reason: str | None = None, actor: str | None = None
) -> bool:
    """Enter an amount that nothing holds for any more; True (and flagged) when it passes the hold's limit."""
    over = _passes(tx, row.key, amount, row.limit)
    tx.enter(row.key, kind, amount, at, row, over_cap=over, reason=reason, actor=actor)
    return over


@dataclass(frozen=True, slots=True)
class Counting:
    """Enters what an attempt does to counters that it holds nothing of. `at` is epoch ms."""

    call_id: str
    attempt: int
    at: int
    reason: str | None = None
    actor: str | None = None

    def count(self, tx: Tx, wanted: Hold, amount: int) -> bool:
        """Enter the amount, unless the attempt has a hold there: that one counts by itself (its limit was taken away
        or set while the call was live). True (and flagged) when it passes the limit that there is by now.
        """
        key = wanted.key
        if not amount or any(row.key[:4] == key[:4] for row in tx.holds(self.call_id, self.attempt)):
            return False
        over = _passes(tx, key, amount, configured_limit(wanted))
        owner = (self.call_id, self.attempt)
        tx.enter(key, "count", amount, self.at, owner=owner, over_cap=over, reason=self.reason, actor=self.actor)
        return over


def _passes(tx: Tx, key: CounterKey, amount: int, limit: int | None) -> bool:
    return amount > 0 and limit is not None and sum(tx.figure(key)) + amount > limit


def commit(tx: Tx, row: HoldRow, amount: int, at: int) -> bool:
    """Close the hold and enter what it became; True (and flagged) where that passes the hold's limit."""
    covered = row.state == "held" and amount <= row.amount  # had its place when it was taken
    tx.close_hold(row, "committed", at)
    if not covered:
        return enter(tx, row, "commit", amount, at)
    tx.enter(row.key, "commit", amount, at, row)
    return False


def _open(tx: Tx, call_id: str, attempt: int) -> list[HoldRow]:
    return [row for row in tx.holds(call_id, attempt) if row.state == "held"]


@dataclass(frozen=True, slots=True)
class CommitConnect:
    """Request: the buyer answered. Commits the connect holds of the leg, of the call and of the ring's group.

    True when something was committed now.
    """

    call_id: str
    attempt: int
    at: int
    group_attempt: int | None = None

    def apply(self, tx: Tx) -> bool:
        numbers = {self.attempt, CALL} | ({self.group_attempt} if self.group_attempt is not None else set())
        rows = [
            row
            for number in sorted(numbers)
            for row in _open(tx, self.call_id, number)
            if row.key.metric == "connect" and row.key.period != "concurrent"
        ]
        for row in rows:
            commit(tx, row, row.amount, self.at)
        return bool(rows)


@dataclass(frozen=True, slots=True)
class Settle:
    """Request: the leg (or, for attempt 0, the call) is over. True when something changed.

    Each open hold is committed by what `decide.caps.committed` leaves of it, or freed. Conversion and
    revenue holds of an answered leg that no conversion has used are kept until `keep_until` (epoch ms), for
    a buyer's postback.

    `counts` are the counters without a limit (see `decide.caps.split_counted`): the attempt, and the connect of an
    answered leg, are entered with the first settling that finds anything open. So they count once, and never for an
    attempt that was released.
    """

    call_id: str
    attempt: int
    outcome: Outcome
    at: int
    keep_until: int | None = None
    counts: Sequence[Hold] = ()

    def apply(self, tx: Tx) -> bool:
        rows = [row for row in _open(tx, self.call_id, self.attempt) if row.expires_at is None]
        for row in rows:
            amount = committed(as_hold(row), self.outcome)
            if amount:
                commit(tx, row, amount, self.at)
            elif self._awaits(row):
                tx.keep_hold(row, self.keep_until or 0)
            else:
                tx.close_hold(row, self._unused(row), self.at)
        if rows:
            counting = Counting(self.call_id, self.attempt, self.at)
            for wanted in self.counts:
                if wanted.metric not in CONVERSION:  # those are counted when they happen, by `Convert`
                    counting.count(tx, wanted, committed(wanted, self.outcome))
        return bool(rows)

    def _unused(self, row: HoldRow) -> str:
        """An answered leg is known by its buyer's concurrency, for a report that names only the buyer."""
        answered = self.outcome.answered and row.key.scope == "buyer" and row.key.period == "concurrent"
        return "committed" if answered else "released"

    def _awaits(self, row: HoldRow) -> bool:
        due = self.keep_until is not None and self.keep_until > self.at
        return due and self.outcome.answered and row.key.metric in CONVERSION


@dataclass(frozen=True, slots=True)
class Finish:
    """Request: the call is over, whatever happened. Settles attempt 0, and as unanswered any leg still open.

    A leg whose connect holds are committed keeps them. True when something changed.

    `counts` are the counters of source and campaign without a limit, entered once, here, however many legs the call
    had. A call that is finished after its engine was killed, and legs that are still open here, are not counted
    there: nobody remembers which counters they were. Nor are the calls that `ReleaseOrphans` frees.
    """

    call_id: str
    outcome: Outcome
    at: int
    counts: Sequence[Hold] = ()

    def apply(self, tx: Tx) -> bool:
        changed = False
        for attempt in tx.open_attempts(self.call_id):
            if attempt == CALL:
                settle = Settle(self.call_id, CALL, self.outcome, self.at, counts=self.counts)
            else:
                settle = Settle(self.call_id, attempt, Outcome(), self.at)
            changed |= settle.apply(tx)
        return changed


@dataclass(frozen=True, slots=True)
class Release:
    """Request: the attempt was never dialled, or lost a simultaneous ring. Frees all that is still open."""

    call_id: str
    attempt: int
    at: int

    def apply(self, tx: Tx) -> bool:
        rows = _open(tx, self.call_id, self.attempt)
        for row in rows:
            tx.close_hold(row, "released", self.at)
        return bool(rows)


@dataclass(frozen=True, slots=True)
class ReleaseOthers:
    """Request: of a call that another process takes over, free every open attempt but `keep` and the call's own."""

    call_id: str
    keep: frozenset[int]
    at: int

    def apply(self, tx: Tx) -> list[Freed]:
        lost = [number for number in tx.open_attempts(self.call_id) if number != CALL and number not in self.keep]
        for attempt in lost:
            Release(self.call_id, attempt, self.at).apply(tx)
        return [Freed(self.call_id, attempt) for attempt in lost]


@dataclass(frozen=True, slots=True)
class ReleaseOrphans:
    """Request: free the open holds of a worker's calls that have no live channel.

    `before` (epoch ms) is the moment just before the live channels were listed: a call that reserved after
    it may be missing from the list and is left alone. Holds that only await a postback are not orphans.
    """

    live: frozenset[str]
    worker: str
    before: int
    at: int

    def apply(self, tx: Tx) -> list[Freed]:
        lost = _attempts(
            tx,
            "SELECT DISTINCT call_id, attempt FROM cap_holds WHERE state = 'held' AND expires_at IS NULL "
            "AND created_at < ? AND worker = ? ORDER BY call_id, attempt",
            (self.before, self.worker),
        )
        return _free(tx, [one for one in lost if one.call_id not in self.live], self.at)


@dataclass(frozen=True, slots=True)
class ReleaseExpired:
    """Request: free conversion and revenue holds whose postback did not come in time."""

    at: int

    def apply(self, tx: Tx) -> list[Freed]:
        due = _attempts(
            tx,
            "SELECT DISTINCT call_id, attempt FROM cap_holds WHERE state = 'held' AND expires_at <= ? "
            "ORDER BY call_id, attempt",
            (self.at,),
        )
        return _free(tx, due, self.at)


def as_hold(row: HoldRow) -> Hold:
    """The pure form of a stored hold."""
    key = row.key
    scope, metric, period = cast("Scope", key.scope), cast("Metric", key.metric), cast("Period", key.period)
    return Hold(scope, key.scope_id, metric, period, key.period_key, row.amount, row.limit)


def _attempts(tx: Tx, sql: str, params: Params) -> list[Freed]:
    tx.write()  # the query must see what this transaction has changed so far
    return [Freed(*row) for row in tx.connection.rows(sql, params)]


def _free(tx: Tx, attempts: list[Freed], at: int) -> list[Freed]:
    for call_id, attempt in attempts:
        for row in _open(tx, call_id, attempt):
            tx.close_hold(row, "released", at)
    return attempts
