"""A buyer's report on a call: judged and booked in one transaction, so that two at once cannot both be the first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dcx_ari.decide.caps import Hold
from dcx_ari.decide.payout import adjustment_cents, share_cents
from dcx_ari.decide.postback import Accept, Adjust, Booked, Noop, Postback, Reject, judge
from dcx_ari.store.ledger.money import Convert, Correct, is_converted
from dcx_ari.store.ledger.rows import Statement, WriteRows
from dcx_ari.store.ledger.tx import Tx
from dcx_ari.store.ledger.types import Converted, Money

_BOOKED = "SELECT kind, key, amount_cents, reported_at FROM money_entries WHERE call_id = ? ORDER BY id"
_CALL = "UPDATE calls SET converted = ?, converted_at = COALESCE(converted_at, ?) WHERE id = ?"
_ATTEMPT = (
    "SELECT attempt FROM cap_holds WHERE call_id = ? AND scope = 'buyer' AND scope_id = ? "
    "ORDER BY CASE WHEN metric = 'connect' AND state = 'committed' THEN 0 "
    "WHEN period = 'concurrent' AND state <> 'released' THEN 0 ELSE 1 END, attempt DESC LIMIT 1"
)
_PREFIX = "postback:"


class Told(NamedTuple):
    """What became of a report; `revenue_cents` is the call's revenue now."""

    verdict: Accept | Adjust | Noop | Reject
    revenue_cents: int
    over_cap: bool = False


class _Books(NamedTuple):
    """A call's revenue and payout, and its reports with the revenue that each one left."""

    revenue: int
    payout: int
    reports: list[Booked]


@dataclass(frozen=True, slots=True)
class Report:
    """Request: book what a signed report says. Times are epoch ms, money is cents.

    The amount is kept within `low` and `high` (None: no bound), except 0, which takes the price back. `share_bp` is
    the source's share of revenue in basis points, None where its payout does not depend on revenue. `counts`: the
    buyer's conversion and revenue counters, for those that the attempt holds nothing of. `told` gives the rows for the
    outbox from the call's revenue and whether a cap was passed; asked where something is booked.
    """

    call_id: str
    report: Postback
    currency: str
    started_at: int
    buyer_id: int
    source_id: int | None
    low: int | None
    high: int | None
    share_bp: int | None
    at: int
    counts: tuple[Hold, ...] = ()
    told: Callable[[int, bool], Sequence[Statement]] = lambda _revenue, _over: ()

    def apply(self, tx: Tx) -> Told:
        tx.write()
        books, attempt = self._books(tx), self._attempt(tx)
        verdict = judge(
            self.report,
            books.reports,
            currency=self.currency,
            started_at=self.started_at,
            now=self.at,
            hold_until=self._hold_until(tx, attempt),
        )
        if isinstance(verdict, (Noop, Reject)):
            return Told(verdict, books.revenue)
        price = self._price()
        before = books.revenue if isinstance(verdict, Accept) else max(books.reports, key=lambda b: b.at).amount_cents
        delta = price - before
        share = 0
        if self.share_bp is not None:
            share = adjustment_cents(books.payout, share_cents(books.revenue + delta, self.share_bp))
        done = self._book(tx, attempt, price, delta, share)
        revenue = books.revenue + delta
        tx.connection.many(_CALL, [(True, self.at, self.call_id)])
        WriteRows(self.told(revenue, bool(done.over_cap))).apply(tx)
        return Told(verdict, revenue, bool(done.over_cap))

    def _attempt(self, tx: Tx) -> int:
        """The leg that the buyer answered, by what it held."""
        found = tx.connection.rows(_ATTEMPT, (self.call_id, self.buyer_id))
        return int(found[0][0]) if found else 1

    def _book(self, tx: Tx, attempt: int, price: int, delta: int, share: int) -> Converted:
        money = [self._money("revenue", delta)] + ([self._money("payout", share)] if share else [])
        if not is_converted(tx, self.call_id, attempt):
            return Convert(self.call_id, attempt, price, tuple(money), self.at, self.counts).apply(tx)
        actor = f"buyer {self.buyer_id}"
        correct = Correct(self.call_id, attempt, delta, tuple(money), self.at, "postback", actor, self.counts)
        return correct.apply(tx)

    def _money(self, kind: str, cents: int) -> Money:
        key = _PREFIX + self.report.id
        return Money(
            self.call_id, kind, key, cents, "postback", self.buyer_id, self.source_id, reported_at=self.report.at
        )

    def _price(self) -> int:
        price = self.report.amount_cents
        if not price:
            return 0
        price = price if self.low is None else max(price, self.low)
        return price if self.high is None else min(price, self.high)

    def _books(self, tx: Tx) -> _Books:
        revenue = payout = 0
        reports: list[Booked] = []
        for kind, key, cents, reported_at in tx.connection.rows(_BOOKED, (self.call_id,)):
            if kind == "payout":
                payout += cents
            elif kind == "revenue":
                revenue += cents
                if key.startswith(_PREFIX):
                    reports.append(Booked(key.removeprefix(_PREFIX), revenue, reported_at or 0))
        return _Books(revenue, payout, reports)

    def _hold_until(self, tx: Tx, attempt: int) -> int | None:
        """When the room kept for a conversion is given back; now, while the leg is live or once it is sold."""
        rows = tx.holds(self.call_id, attempt)
        for row in rows:
            if row.key.metric == "convert":
                return None if row.state == "released" else row.expires_at or self.at
        return self.at if not rows or any(row.state == "held" for row in rows) else None
