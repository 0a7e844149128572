"""Reserve: take every hold of an attempt, or none.

Runs under the write lock, so what it reads cannot change before it is written: the check
`used + held + amount <= limit` and the taking are one step for every process on the database.
"""

from dataclasses import dataclass

from dcx_ari.decide.caps import Hold
from dcx_ari.store.ledger.tx import HoldRow, Tx
from dcx_ari.store.ledger.types import CALL, AttemptClosed, BadEntry, Refused, Reserved, Spacing


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
        """Raises AttemptClosed for an attempt that is over, BadEntry for a negative amount or a counter
        given twice.
        """
        wanted = self._by_attempt()
        if known := tx.holds(self.call_id, self.attempt):
            if not any(row.state == "held" for row in known):
                raise AttemptClosed(f"call {self.call_id} attempt {self.attempt} is closed")
            return Reserved(self.call_id, self.attempt, repeated=True)
        missing = [(n, hold) for n, holds in wanted.items() for hold in self._missing(tx, n, holds)]
        for _, hold in missing:
            if refused := _refusal(tx, hold):
                return refused
        if self.spacing and (refused := self._too_soon(tx, self.spacing)):
            return refused
        for number, hold in missing:
            self._take(tx, number, hold)
        if self.spacing:
            self._stamp(tx, self.spacing)
        return Reserved(self.call_id, self.attempt)

    def _by_attempt(self) -> dict[int, list[Hold]]:
        wanted: dict[int, list[Hold]] = {}
        for hold in self.holds:
            if hold.amount < 0:
                raise BadEntry("a hold's amount must not be negative")
            number = CALL if hold.scope in ("source", "campaign") else self.attempt
            if hold.scope == "group" and self.group_attempt is not None:
                number = self.group_attempt
            wanted.setdefault(number, []).append(hold)
        for holds in wanted.values():
            if len({hold.key[:4] for hold in holds}) != len(holds):
                raise BadEntry("one attempt takes one hold per scope, metric and period")
        return wanted

    def _missing(self, tx: Tx, number: int, holds: list[Hold]) -> list[Hold]:
        known = tx.holds(self.call_id, number)
        if known and not any(row.state == "held" for row in known):
            raise AttemptClosed(f"call {self.call_id} attempt {number} is closed")
        have = {row.key[:4] for row in known}
        return [hold for hold in holds if hold.key[:4] not in have]

    def _too_soon(self, tx: Tx, spacing: Spacing) -> Refused | None:
        last = tx.figure(spacing.key).used
        if spacing.least_s is None or last == 0 or self.at - last >= spacing.least_s * 1000:
            return None
        return Refused(spacing.key, 1, last, 0, spacing.least_s)

    def _take(self, tx: Tx, number: int, hold: Hold) -> None:
        level = sum(tx.figure(hold.key)) + hold.amount if hold.limit is not None else 0
        row = HoldRow(self.call_id, number, hold.key, hold.amount, 0, configured_limit(hold), level, "held")
        tx.add_hold(row, self.worker, self.at)

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


def _refusal(tx: Tx, hold: Hold) -> Refused | None:
    limit = configured_limit(hold)
    if hold.limit is None or limit is None:
        return None
    used, held = tx.figure(hold.key)
    return None if used + held + hold.amount <= hold.limit else Refused(hold.key, hold.amount, used, held, limit)
