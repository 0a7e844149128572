"""Reserve: take every hold of an attempt, or none.

Runs under the write lock, so what it reads cannot change before it is written: the check
`used + held + amount <= limit` and the taking are one step for every process on the database.
"""

from dataclasses import dataclass

from dcx_ari.decide.caps import CounterKey, Hold
from dcx_ari.store.ledger.memory import HoldRow
from dcx_ari.store.ledger.tx import Tx
from dcx_ari.store.ledger.types import CALL, SPACING, AttemptClosed, BadEntry, Refused, Reserved, Spacing


@dataclass(frozen=True, slots=True)
class Reserve:
    """Request: all holds of one attempt, checked in the given order. `at` is epoch ms.

    Holds of source and campaign belong to the call: they are kept under attempt 0 and taken once, whichever
    leg asks first. `group_attempt` does the same for a group whose members ring together: one number for
    all legs of the ring.
    """

    call_id: str
    attempt: int
    holds: tuple[Hold, ...]
    worker: str
    at: int
    spacing: Spacing | None = None
    group_attempt: int | None = None

    def apply(self, tx: Tx) -> Reserved | Refused:
        """Raises AttemptClosed for an attempt that is over, BadEntry for a negative amount or a counter twice."""
        wanted = self._wanted()
        if known := tx.holds(self.call_id, self.attempt):
            states = {row.state for row in known if row.key.period != SPACING}
            if states and "held" not in states:
                raise AttemptClosed(f"call {self.call_id} attempt {self.attempt} is closed")
            return Reserved(self.call_id, self.attempt, repeated=True)
        rows: list[HoldRow] = []
        for number, hold, key in wanted:
            if number != self.attempt and self._has(tx, number, key):
                continue
            level = 0
            if hold.limit is not None:
                used, held = tx.figure(key)
                level = used + held + hold.amount
                if level > hold.limit:
                    return Refused(key, hold.amount, used, held, configured_limit(hold) or 0)
            rows.append(HoldRow(self.call_id, number, key, hold.amount, 0, configured_limit(hold), level, "held"))
        if self.spacing and (refused := self._too_soon(tx, self.spacing)):
            return refused
        for row in rows:
            tx.add_hold(row, self.worker, self.at)
        if self.spacing:
            self._stamp(tx, self.spacing)
        return Reserved(self.call_id, self.attempt)

    def _wanted(self) -> list[tuple[int, Hold, CounterKey]]:
        """The holds with their counters, under the attempt number that each is kept by."""
        wanted: list[tuple[int, Hold, CounterKey]] = []
        for hold in self.holds:
            if hold.amount < 0:
                raise BadEntry("a hold's amount must not be negative")
            number = CALL if hold.scope in ("source", "campaign") else self.attempt
            if hold.scope == "group" and self.group_attempt is not None:
                number = self.group_attempt
            wanted.append((number, hold, hold.key))
        if len({(number, key[:4]) for number, _, key in wanted}) != len(wanted):
            raise BadEntry("one attempt takes one hold per scope, metric and period")
        return wanted

    def _has(self, tx: Tx, number: int, key: CounterKey) -> bool:
        """Whether an earlier leg took this hold for the whole call, or for the ring."""
        known = tx.holds(self.call_id, number)
        states = {row.state for row in known}
        if "released" in states and "held" not in states:
            raise AttemptClosed(f"call {self.call_id} attempt {number} is closed")
        return any(row.key[:4] == key[:4] for row in known)

    def _too_soon(self, tx: Tx, spacing: Spacing) -> Refused | None:
        last = tx.figure(spacing.key).used
        if spacing.least_s is None or last == 0 or self.at - last >= spacing.least_s * 1000:
            return None
        return Refused(spacing.key, 1, last, 0, spacing.least_s)

    def _stamp(self, tx: Tx, spacing: Spacing) -> None:
        # Not a promise but a fact, the time of this attempt: entered as a difference, so that sums work for
        # it too.
        later = max(0, self.at - tx.figure(spacing.key).used)
        row = HoldRow(self.call_id, self.attempt, spacing.key, 0, 0, spacing.least_s, 0, "committed", closed_at=self.at)
        tx.add_hold(row, self.worker, self.at)
        tx.enter(spacing.key, "commit", later, self.at, row)


def configured_limit(hold: Hold) -> int | None:
    """The limit as configured: a guard (amount 0) carries one less, see `Hold`."""
    return hold.limit + 1 if hold.limit is not None and hold.amount == 0 else hold.limit
