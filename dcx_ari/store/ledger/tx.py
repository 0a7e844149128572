"""One ledger transaction: reads under the write lock, changes in memory, writes at the end.

The SQL is the subset that SQLite and PostgreSQL share; parameters are `?` in order. Requests of one batch see
each other's changes because they share one `Tx`. A counter is read only where a limit has to be compared, and
written once per batch, as a difference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.types import Figure, Money

Params = Sequence[Any]


class Connection(Protocol):
    """The part of a database connection that holds the write lock for the length of the transaction."""

    def rows(self, sql: str, params: Params) -> Sequence[tuple[Any, ...]]: ...

    def many(self, sql: str, params: Iterable[Params]) -> None: ...


@dataclass(slots=True)
class HoldRow:
    """A row of `cap_holds` as this transaction sees it."""

    call_id: str
    attempt: int
    key: CounterKey
    amount: int
    committed: int
    limit: int | None
    level: int
    state: str
    expires_at: int | None = None
    closed_at: int | None = None
    dirty: bool = False


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
    f"SELECT {_KEY}, amount, committed, limit_value, level, state, expires_at, closed_at "  # noqa: S608
    "FROM cap_holds WHERE call_id = ? AND attempt = ?"
)
_OPEN_ATTEMPTS = "SELECT DISTINCT attempt FROM cap_holds WHERE call_id = ? AND state = 'held' AND expires_at IS NULL"
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
_MONEY_THERE = "SELECT 1 FROM money_entries WHERE call_id = ? AND kind = ? AND key = ?"
_ADD_MONEY = (
    "INSERT INTO money_entries (call_id, kind, key, amount_cents, buyer_id, source_id, reason, over_cap, "
    "reported_at, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Tx:
    """Holds everything one transaction has read and is about to write. Used by one thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._read: dict[CounterKey, Figure] = {}
        self._changes: dict[CounterKey, list[int]] = {}
        self._holds: dict[tuple[str, int], list[HoldRow]] = {}
        self._new_holds: list[Params] = []
        self._entries: list[Params] = []
        self._new_money: list[Params] = []
        self._booked: set[tuple[str, str, str]] = set()

    def figure(self, key: CounterKey) -> Figure:
        """The counter with this transaction's changes; zero when it has no row yet."""
        read = self._read.get(key)
        if read is None:
            rows = self.connection.rows(_COUNTER, key)
            read = self._read[key] = Figure(*rows[0]) if rows else Figure()
        used, held = self._changes.get(key, (0, 0))
        return Figure(read.used + used, read.held + held)

    def holds(self, call_id: str, attempt: int) -> list[HoldRow]:
        """Every hold the attempt ever took; empty when it took none."""
        found = self._holds.get((call_id, attempt))
        if found is None:
            rows = self.connection.rows(_HOLDS, (call_id, attempt))
            found = [HoldRow(call_id, attempt, CounterKey(*row[:5]), *row[5:]) for row in rows]
            self._holds[call_id, attempt] = found
        return found

    def open_attempts(self, call_id: str) -> list[int]:
        """Attempts of the call that may have open holds other than those awaiting a postback, ascending."""
        stored = {row[0] for row in self.connection.rows(_OPEN_ATTEMPTS, (call_id,))}
        return sorted(stored | {attempt for call, attempt in self._holds if call == call_id})

    def add_hold(self, row: HoldRow, worker: str, at: int) -> None:
        """A new hold; the counter is raised by its amount. A hold born committed holds nothing."""
        if row.state == "held":
            self._change(row.key, 0, row.amount)
        self._holds.setdefault((row.call_id, row.attempt), []).append(row)
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
        row.state, row.expires_at, row.dirty = state, None, True
        row.closed_at = row.closed_at or at

    def keep_hold(self, row: HoldRow, until: int) -> None:
        """Let the row hold on until the given epoch ms."""
        row.expires_at, row.dirty = until, True

    def enter(
        self,
        key: CounterKey,
        kind: str,
        amount: int,
        at: int,
        row: HoldRow | None = None,
        *,
        over_cap: bool = False,
        reason: str | None = None,
        actor: str | None = None,
    ) -> None:
        """Append one entry, of a hold or by hand, and change the counter's `used` by it."""
        self._change(key, amount, 0)
        call_id = attempt = None
        if row is not None:
            row.committed += amount
            row.dirty = True
            call_id, attempt = row.call_id, row.attempt
        self._entries.append((*key, kind, amount, call_id, attempt, over_cap, reason, actor, at))

    def has_money(self, entry: Money) -> bool:
        """True when an entry with this call, kind and key is booked already."""
        named = (entry.call_id, entry.kind, entry.key)
        return named in self._booked or bool(self.connection.rows(_MONEY_THERE, named))

    def add_money(self, entry: Money, at: int, over_cap: bool) -> None:
        """Append one money entry; the caller has asked `has_money` before."""
        named = (entry.call_id, entry.kind, entry.key)
        self._booked.add(named)
        self._new_money.append(
            (
                *named,
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
        if changed := [row for rows in self._holds.values() for row in rows if row.dirty]:
            self.connection.many(_SAVE_HOLD, [_saved(row) for row in changed])
            for row in changed:
                row.dirty = False
        self._write_counters()

    def _write_counters(self) -> None:
        if not self._changes:
            return
        rev = self.connection.rows(_LAST_REV, ())[0][0] + 1
        changes = [(*key, used, held, rev) for key, (used, held) in sorted(self._changes.items())]
        # A counter whose holds are given back has a row. An upsert would not do: SQLite tests `held >= 0` on
        # the row it would insert before it sees that there is one.
        if raised := [change for change in changes if change[6] >= 0]:
            self.connection.many(_RAISE_COUNTER, raised)
        if lowered := [(*change[5:], *change[:5]) for change in changes if change[6] < 0]:
            self.connection.many(_LOWER_COUNTER, lowered)
        self._changes.clear()
        self._read.clear()

    def _change(self, key: CounterKey, used: int, held: int) -> None:
        known = self._changes.get(key)
        if known is None:
            self._changes[key] = [used, held]
        else:
            known[0] += used
            known[1] += held


def _saved(row: HoldRow) -> Params:
    return (row.state, row.committed, row.closed_at, row.expires_at, row.call_id, row.attempt, *row.key[:4])
