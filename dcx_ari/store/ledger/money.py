"""Money: append-only bookings, and the conversion, which books money and commits its caps in one
transaction.
"""

from dataclasses import dataclass

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.settle import CONVERSION, commit, enter
from dcx_ari.store.ledger.tx import Tx
from dcx_ari.store.ledger.types import SPACING, Adjusted, BadEntry, Converted, Money

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


@dataclass(frozen=True, slots=True)
class Convert:
    """Request: the attempt converts, once. Commits 1 conversion and `revenue_cents`, and books `money`.

    Late (its holds were released) or above the amount held, it is booked all the same; what passes a limit is
    flagged over_cap. Asked again, by whatever rule, it does nothing: a call is sold once.
    """

    call_id: str
    attempt: int
    revenue_cents: int
    money: tuple[Money, ...]
    at: int

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
        return Converted(_book(tx, self.money, self.at, bool(over)), tuple(over))


@dataclass(frozen=True, slots=True)
class Correct:
    """Request: the price of a converted attempt changes by `revenue_delta` cents (newer postback, dispute).

    An adjusting entry on every revenue counter of the attempt, and the adjusting `money`. Nothing happens
    when all of `money` is booked already, so a repeated postback is a no-op; `money` must therefore not be
    empty.
    """

    call_id: str
    attempt: int
    revenue_delta: int
    money: tuple[Money, ...]
    at: int
    reason: str
    actor: str

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
