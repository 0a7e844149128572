"""Money: append-only bookings, and the conversion, which books money and commits its caps in one
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dcx_ari.decide.caps import CONVERSION, CounterKey, Hold, Outcome
from dcx_ari.store.ledger.memory import HoldRow
from dcx_ari.store.ledger.rows import Statement, WriteRows
from dcx_ari.store.ledger.settle import Counting, Finish, commit, enter
from dcx_ari.store.ledger.tx import Tx
from dcx_ari.store.ledger.types import SPACING, Adjusted, BadEntry, Converted, Money, Sums

KINDS = ("revenue", "payout", "cost")


def _check(entries: tuple[Money, ...]) -> None:
    for entry in entries:
        if entry.kind not in KINDS:
            raise BadEntry(f"kind must be one of {', '.join(KINDS)}")
        if not entry.call_id or not entry.key:
            raise BadEntry("a booking needs a call and a key")


def _book(tx: Tx, entries: tuple[Money, ...], at: int, over_cap: bool = False) -> int:
    booked = 0
    for entry in entries:
        if not tx.has_money(entry):
            tx.add_money(entry, at, over_cap and entry.kind == "revenue")
            booked += 1
    return booked


def is_converted(tx: Tx, call_id: str, attempt: int) -> bool:
    """Whether the attempt was sold: its conversion holds are committed."""
    states = {row.state for row in tx.holds(call_id, attempt) if row.key.metric == "convert"}
    return states == {"committed"}


@dataclass(frozen=True, slots=True)
class Book:
    """Request: book entries; those whose (call, kind, key) is there already are left as they are."""

    entries: tuple[Money, ...]
    at: int

    def apply(self, tx: Tx) -> int:
        """Number of entries written now."""
        _check(self.entries)
        return _book(tx, self.entries, self.at)


class Closing(NamedTuple):
    """Answer to `CloseCall`. `done` False: the call's money was not as expected, and nothing was written."""

    done: bool
    sums: Sums


@dataclass(frozen=True, slots=True)
class CloseCall:
    """Request: book what is due at the end of a call, and finish it, if its money so far is as `expected`.

    `entries` depend on that money (the source's share), and another process may have booked a postback meanwhile.
    """

    call_id: str
    entries: tuple[Money, ...]
    outcome: Outcome
    expected: Sums
    at: int
    counts: Sequence[Hold] = ()

    def apply(self, tx: Tx) -> Closing:
        _check(self.entries)
        found = tx.sums(self.call_id)
        if found != self.expected:
            return Closing(False, found)
        _book(tx, self.entries, self.at)
        Finish(self.call_id, self.outcome, self.at, self.counts).apply(tx)
        return Closing(True, tx.sums(self.call_id))


@dataclass(frozen=True, slots=True)
class Convert:
    """Request: the attempt converts, once. Commits 1 conversion and `revenue_cents`, and books `money`.

    Late (its holds were released) or above the amount held, it is booked all the same; what passes a limit is
    flagged over_cap. Asked again, by whatever rule, it does nothing: a call is sold once.

    `counts` are the conversion and revenue counters without a limit; others in it, and those that the attempt holds,
    are left alone. `told` are rows for the outbox, written where the conversion is booked now.
    """

    call_id: str
    attempt: int
    revenue_cents: int
    money: tuple[Money, ...]
    at: int
    counts: Sequence[Hold] = ()
    told: Sequence[Statement] = ()

    def apply(self, tx: Tx) -> Converted:
        _check(self.money)
        if self.revenue_cents < 0:
            raise BadEntry("revenue of a conversion must not be negative")
        if is_converted(tx, self.call_id, self.attempt):
            return Converted(0)
        over: list[CounterKey] = []
        for row in tx.holds(self.call_id, self.attempt):
            if row.key.metric in CONVERSION and row.state != "committed":
                actual = 1 if row.key.metric == "convert" else self.revenue_cents
                if commit(tx, row, actual, self.at):
                    over.append(row.key)
        counting = Counting(self.call_id, self.attempt, self.at)
        for wanted in self.counts:
            if wanted.metric in CONVERSION:
                actual = 1 if wanted.metric == "convert" else self.revenue_cents
                if counting.count(tx, wanted, actual):
                    over.append(wanted.key)
        self._mark(tx)
        WriteRows(self.told).apply(tx)
        return Converted(_book(tx, self.money, self.at, bool(over)), tuple(over))

    def _mark(self, tx: Tx) -> None:
        """Leave a sign that the attempt is sold where no hold is one, for `is_converted`."""
        if any(row.key.metric == "convert" for row in tx.holds(self.call_id, self.attempt)):
            return
        for wanted in self.counts:
            if wanted.metric == "convert":
                mark = HoldRow(self.call_id, self.attempt, wanted.key, 0, 0, None, 0, "committed", closed_at=self.at)
                tx.add_hold(mark, "", self.at)
                return


@dataclass(frozen=True, slots=True)
class Correct:
    """Request: the price of a converted attempt changes by `revenue_delta` cents (newer postback, dispute).

    An adjusting entry on every revenue counter of the attempt, and the adjusting `money`. Nothing happens
    when all of `money` is booked already, so a repeated postback is a no-op; `money` must therefore not be
    empty. `counts` as for `Convert`: revenue counters that were counted then are corrected by one more count.
    """

    call_id: str
    attempt: int
    revenue_delta: int
    money: tuple[Money, ...]
    at: int
    reason: str
    actor: str
    counts: Sequence[Hold] = ()

    def apply(self, tx: Tx) -> Converted:
        _check(self.money)
        if not self.money:
            raise BadEntry("a correction needs a money entry")
        if all(tx.has_money(entry) for entry in self.money):
            return Converted(0)
        over = [
            row.key
            for row in tx.holds(self.call_id, self.attempt)
            if row.key.metric == "revenue_cents"
            and row.state == "committed"
            and self.revenue_delta
            and enter(tx, row, "correction", self.revenue_delta, self.at, reason=self.reason, actor=self.actor)
        ]
        counting = Counting(self.call_id, self.attempt, self.at, self.reason, self.actor)
        over += [
            wanted.key
            for wanted in self.counts
            if wanted.metric == "revenue_cents" and counting.count(tx, wanted, self.revenue_delta)
        ]
        return Converted(_book(tx, self.money, self.at, bool(over)), tuple(over))


@dataclass(frozen=True, slots=True)
class Adjust:
    """Request: change a counter's `used` by hand, by `delta` or to a value, as an entry.

    Not for concurrent and spacing counters, which show what channels do and when; never below zero.
    """

    key: CounterKey
    delta: int | None
    to: int | None
    reason: str
    actor: str
    at: int

    def apply(self, tx: Tx) -> Adjusted:
        if self.key.period in ("concurrent", SPACING):
            raise BadEntry(f"a {self.key.period} counter cannot be adjusted")
        if not self.reason.strip() or not self.actor.strip():
            raise BadEntry("an adjustment needs a reason and an actor")
        if (self.delta is None) == (self.to is None):
            raise BadEntry("an adjustment is by an amount or to a value, one of them")
        used = tx.figure(self.key).used
        after = used + self.delta if self.delta is not None else self.to or 0
        if after == used:
            raise BadEntry(f"used is {used} already")
        if after < 0:
            raise BadEntry(f"used is {used}: it cannot go below zero")
        tx.enter(self.key, "adjust", after - used, self.at, reason=self.reason.strip(), actor=self.actor.strip())
        return Adjusted(used, after)
