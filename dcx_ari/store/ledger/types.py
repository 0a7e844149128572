"""What goes into the ledger and what comes out: frozen values, no database."""

from dataclasses import dataclass
from typing import NamedTuple

from dcx_ari.decide.caps import CounterKey

CALL = 0
"""The attempt number that keeps the holds of the call itself (source, campaign); legs count from 1."""

SPACING = "spacing"
"""The period of the counter that keeps the time of a buyer's last attempt; its `used` is epoch ms."""


class Figure(NamedTuple):
    """One counter: `used` committed, `held` promised to live attempts (calls, or cents for revenue)."""

    used: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Spacing:
    """A buyer must not be dialled again within `least_s` seconds; None = any time, but remember this
    attempt.
    """

    buyer_id: int
    least_s: int | None = None

    @property
    def key(self) -> CounterKey:
        return CounterKey("buyer", self.buyer_id, "attempt", SPACING, "last")


@dataclass(frozen=True, slots=True)
class Reserved:
    """All holds of the attempt are taken. `repeated`: they already were, nothing was taken again."""

    call_id: str
    attempt: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was taken. `key`: the first counter without room for `amount`; figures as under the lock.

    For spacing `used` is the epoch ms of the last attempt and `limit` the least seconds between two.
    """

    key: CounterKey
    amount: int
    used: int
    held: int
    limit: int


@dataclass(frozen=True, slots=True)
class Money:
    """One booking asked for: signed integer cents, idempotent by (call_id, kind, key)."""

    call_id: str
    kind: str
    key: str
    amount_cents: int
    reason: str | None = None
    buyer_id: int | None = None
    source_id: int | None = None
    over_cap: bool = False
    reported_at: int | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """Answer to `convert` and `correct`. `booked`: money entries written now (0 = all were there already).

    `over_cap`: the limits that this pushed a counter past, late or above what was held; booked all the same.
    """

    booked: int
    over_cap: tuple[CounterKey, ...] = ()


class Adjusted(NamedTuple):
    """Committed use of a counter before and after an adjustment."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Sums:
    """A call's money in signed integer cents."""

    revenue_cents: int = 0
    payout_cents: int = 0
    cost_cents: int = 0

    @property
    def profit_cents(self) -> int:
        return self.revenue_cents - self.payout_cents - self.cost_cents


@dataclass(frozen=True, slots=True)
class Difference:
    """Something `verify` found. `rule`: used, held, limit, spacing or hold; `expected` and `found` are
    figures.
    """

    rule: str
    key: CounterKey
    expected: int
    found: int
    call_id: str | None = None
    attempt: int | None = None

    def __str__(self) -> str:
        where = "/".join(str(part) for part in self.key if part != "")
        call = f" call {self.call_id} attempt {self.attempt}" if self.call_id else ""
        sign = "at most" if self.rule == "limit" else "at least" if self.rule == "spacing" else "expected"
        return f"{where}: {self.rule} {self.found}, {sign} {self.expected}{call}"


class LedgerError(Exception):
    """The ledger refuses a request as a whole; nothing was written for it."""


class AttemptClosed(LedgerError):
    """The attempt was settled or released before: its number must not be used to dial again."""


class BadEntry(LedgerError, ValueError):
    """An amount, kind, reason or counter that no entry may have."""
