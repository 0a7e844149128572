"""One ledger transaction: reads under the write lock, changes in memory, writes at the end.

The SQL is the subset that SQLite and PostgreSQL share; parameters are `?` in order. Requests of one batch see
each other's changes because they share one `Tx`, and later ones what `Memory` keeps. A counter is read only where a
limit has to be compared, and written once per batch, as a difference.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.memory import HoldRow, Memory
from dcx_ari.store.ledger.types import Figure, Money, Sums

Params = Sequence[Any]


class Connection(Protocol):
    """The part of a database connection that holds the write lock for the length of the transaction."""

    def rows(self, sql: str, params: Params) -> Sequence[tuple[Any, ...]]: ...

    def many(self, sql: str, params: Iterable[Params]) -> None: ...


_KEY = "scope, scope_id, metric, period, period_key"
_KEY_IS = "scope = ? AND scope_id = ? AND metric = ? AND period = ? AND period_key = ?"
_COUNTER = f"SELECT used, held FROM cap_counters WHERE {_KEY_IS}"  # noqa: S608 — constants, here and below
_LAST_REV = "SELECT COALESCE(MAX(rev), 0) FROM cap_counters"
_LOWER_COUNTER = f"UPDATE cap_counters SET used = used + ?, held = held + ?, rev = ? WHERE {_KEY_IS}"  # noqa: S608
_RAISE_COUNTER = (
    f"INSERT INTO cap_counters ({_KEY}, used, held, rev) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
    "ON CONFLICT (scope, scope_id, period_key, metric, period) DO UPDATE SET "
    "used = cap_counters.used + excluded.used, held = cap_counters.held + excluded.held, rev = excluded.rev"
)
_HOLDS = (
    f"SELECT attempt, {_KEY}, amount, committed, limit_value, level, state, expires_at, closed_at "  # noqa: S608
    "FROM cap_holds WHERE call_id = ?"
)
_ADD_HOLD = (
    f"INSERT INTO cap_holds (call_id, attempt, {_KEY}, amount, committed, limit_value, level, state, "  # noqa: S608
    "expires_at, closed_at, worker, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SAVE_HOLD = (
    "UPDATE cap_holds SET state = ?, committed = ?, closed_at = ?, expires_at = ? WHERE call_id = ? "
    "AND attempt = ? AND scope = ? AND scope_id = ? AND metric = ? AND period = ?"
)
_ADD_ENTRY = (
    f"INSERT INTO cap_entries ({_KEY}, kind, amount, call_id, attempt, over_cap, reason, actor, at) "  # noqa: S608
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_MONEY = "SELECT kind, key, amount_cents FROM money_entries WHERE call_id = ?"
_ADD_MONEY = (
    "INSERT INTO money_entries (call_id, kind, key, amount_cents, buyer_id, source_id, reason, over_cap, "
    "reported_at, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_TO_CALL = (
    "UPDATE calls SET revenue_cents = revenue_cents + ?, payout_cents = payout_cents + ?, cost_cents = cost_cents + ? "
    "WHERE id = ?"
)


class Tx:
    """Holds everything one transaction has read and is about to write. Used by one thread."""

    def __init__(self, connection: Connection, memory: Memory | None = None) -> None:
        self.connection = connection
        self._memory = memory or Memory()
        self._changes: dict[CounterKey, list[int]] = {}
        self._changed: list[HoldRow] = []
        self._new_holds: list[Params] = []
        self._entries: list[Params] = []
        self._new_money: list[Params] = []
        self._new_sums: dict[str, dict[str, int]] = {}

    def figure(self, key: CounterKey) -> Figure:
        """The counter with this transaction's changes; zero when it has no row yet."""
        read = self._memory.counters.get(key)
        if read is None:
            rows = self.connection.rows(_COUNTER, key)
            read = self._memory.counters[key] = Figure(*rows[0]) if rows else Figure()
        change = self._changes.get(key)
        return read if change is None else Figure(read.used + change[0], read.held + change[1])

    def holds(self, call_id: str, attempt: int) -> list[HoldRow]:
        """Every hold the attempt ever took; empty when it took none."""
        return self._holds_of(call_id).get(attempt, [])

    def open_attempts(self, call_id: str) -> list[int]:
        """Attempts of the call that have open holds other than those awaiting a postback, ascending."""
        return sorted(
            attempt
            for attempt, rows in self._holds_of(call_id).items()
            if any(row.state == "held" and row.expires_at is None for row in rows)
        )

    def _holds_of(self, call_id: str) -> dict[int, list[HoldRow]]:
        found = self._memory.holds.get(call_id)
        if found is None:
            found = self._memory.holds[call_id] = {}
            for attempt, *row in self.connection.rows(_HOLDS, (call_id,)):
                hold = HoldRow(call_id, attempt, CounterKey(*row[:5]), *row[5:])
                found.setdefault(attempt, []).append(hold)
        return found

    def add_hold(self, row: HoldRow, worker: str, at: int) -> None:
        """A new hold; the counter is raised by its amount. A hold born committed holds nothing."""
        if row.state == "held":
            self._change(row.key, 0, row.amount)
        self._holds_of(row.call_id).setdefault(row.attempt, []).append(row)
        self._new_holds.append(
            (
                row.call_id,
                row.attempt,
                *row.key,
                row.amount,
                row.committed,
                row.limit,
                row.level,
                row.state,
                row.expires_at,
                row.closed_at,
                worker,
                at,
            )
        )

    def close_hold(self, row: HoldRow, state: str, at: int) -> None:
        """Free what the row still holds and set its state. What it commits is an entry of its own."""
        if row.state == "held":
            self._change(row.key, 0, -row.amount)
        row.state, row.expires_at = state, None
        row.closed_at = row.closed_at or at
        self._touch(row)

    def keep_hold(self, row: HoldRow, until: int) -> None:
        """Let the row hold on until the given epoch ms."""
        row.expires_at = until
        self._touch(row)

    def enter(
        self,
        key: CounterKey,
        kind: str,
        amount: int,
        at: int,
        row: HoldRow | None = None,
        *,
        owner: tuple[str, int] | None = None,
        over_cap: bool = False,
        reason: str | None = None,
        actor: str | None = None,
    ) -> None:
        """Append one entry and change the counter's `used` by it. It is of a hold (`row`), of an attempt that held
        nothing (`owner`: call and attempt), or by hand.
        """
        self._change(key, amount, 0)
        if row is not None:
            row.committed += amount
            self._touch(row)
            owner = (row.call_id, row.attempt)
        self._entries.append((*key, kind, amount, *(owner or (None, None)), over_cap, reason, actor, at))

    def has_money(self, entry: Money) -> bool:
        """True when an entry with this call, kind and key is booked already."""
        return (entry.kind, entry.key) in self._money_of(entry.call_id)

    def sums(self, call_id: str) -> Sums:
        """The call's money with this transaction's entries."""
        totals = {"revenue": 0, "payout": 0, "cost": 0}
        for (kind, _), cents in self._money_of(call_id).items():
            totals[kind] += cents
        return Sums(totals["revenue"], totals["payout"], totals["cost"])

    def _money_of(self, call_id: str) -> dict[tuple[str, str], int]:
        found = self._memory.money.get(call_id)
        if found is None:
            rows = self.connection.rows(_MONEY, (call_id,))
            found = self._memory.money[call_id] = {(kind, key): cents for kind, key, cents in rows}
        return found

    def add_money(self, entry: Money, at: int, over_cap: bool) -> None:
        """Append one money entry, and add it to the call's row; the caller has asked `has_money` before."""
        sums = self._new_sums.setdefault(entry.call_id, {"revenue": 0, "payout": 0, "cost": 0})
        sums[entry.kind] += entry.amount_cents
        self._money_of(entry.call_id)[entry.kind, entry.key] = entry.amount_cents
        self._new_money.append(
            (
                entry.call_id,
                entry.kind,
                entry.key,
                entry.amount_cents,
                entry.buyer_id,
                entry.source_id,
                entry.reason,
                entry.over_cap or over_cap,
                entry.reported_at,
                at,
            )
        )

    def write(self) -> None:
        """Write all changes so far; the owner of the transaction commits. May be called again later."""
        for sql, waiting in (
            (_ADD_HOLD, self._new_holds),
            (_ADD_ENTRY, self._entries),
            (_ADD_MONEY, self._new_money),
        ):
            if waiting:
                self.connection.many(sql, waiting)
                waiting.clear()
        if self._new_sums:
            # Nobody else writes these columns: the rows of calls add up to the entries at every commit.
            self.connection.many(_ADD_TO_CALL, [(*sums.values(), call) for call, sums in self._new_sums.items()])
            self._new_sums.clear()
        if self._changed:
            self.connection.many(_SAVE_HOLD, [_saved(row) for row in self._changed])
            for row in self._changed:
                row.dirty = False
            self._changed.clear()
        self._write_counters()

    def _touch(self, row: HoldRow) -> None:
        if not row.dirty:
            row.dirty = True
            self._changed.append(row)

    def _write_counters(self) -> None:
        if not self._changes:
            return
        memory = self._memory
        rev = memory.rev = (self.connection.rows(_LAST_REV, ())[0][0] if memory.rev is None else memory.rev) + 1
        changes = [(*key, used, held, rev) for key, (used, held) in sorted(self._changes.items())]
        # A counter whose holds are given back has a row. An upsert would not do: SQLite tests `held >= 0` on
        # the row it would insert before it sees that there is one.
        if raised := [change for change in changes if change[6] >= 0]:
            self.connection.many(_RAISE_COUNTER, raised)
        if lowered := [(*change[5:], *change[:5]) for change in changes if change[6] < 0]:
            self.connection.many(_LOWER_COUNTER, lowered)
        for key in self._changes.keys() & memory.counters.keys():
            memory.counters[key] = self.figure(key)
        self._changes.clear()

    def _change(self, key: CounterKey, used: int, held: int) -> None:
        known = self._changes.get(key)
        if known is None:
            self._changes[key] = [used, held]
        else:
            known[0] += used
            known[1] += held


def _saved(row: HoldRow) -> Params:
    return (row.state, row.committed, row.closed_at, row.expires_at, row.call_id, row.attempt, *row.key[:4])
