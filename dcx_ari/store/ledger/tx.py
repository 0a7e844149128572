"""One ledger transaction: reads under the write lock, changes in memory, writes at the end.

The SQL is the subset that SQLite and PostgreSQL share, with `:name` parameters. Requests of one batch see
each other's changes because they share one `Tx`; each distinct counter is read once and written once per
batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.types import Money

Params = Mapping[str, Any]


class Connection(Protocol):
    """The part of a database connection that holds the write lock for the length of the transaction."""

    def rows(self, sql: str, params: Params) -> Sequence[tuple[Any, ...]]: ...

    def many(self, sql: str, params: Iterable[Params]) -> None: ...


@dataclass(slots=True)
class Counter:
    """A counter as this transaction sees it."""

    used: int = 0
    held: int = 0
    dirty: bool = False


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


_COUNTER = (
    "SELECT used, held FROM cap_counters WHERE scope = :scope AND scope_id = :scope_id "
    "AND period_key = :period_key AND metric = :metric AND period = :period"
)
_SAVE_COUNTER = (
    "INSERT INTO cap_counters (scope, scope_id, period_key, metric, period, used, held) "
    "VALUES (:scope, :scope_id, :period_key, :metric, :period, :used, :held) "
    "ON CONFLICT (scope, scope_id, period_key, metric, period) "
    "DO UPDATE SET used = excluded.used, held = excluded.held"
)
_HOLD_COLUMNS = (
    "scope, scope_id, metric, period, period_key, amount, committed, limit_value, level, state, expires_at, "
    "closed_at"
)
_HOLDS = f"SELECT {_HOLD_COLUMNS} FROM cap_holds WHERE call_id = :call_id AND attempt = :attempt"  # noqa: S608
_ADD_HOLD = (
    "INSERT INTO cap_holds (call_id, attempt, scope, scope_id, metric, period, period_key, "
    "amount, committed, limit_value, level, state, worker, created_at, closed_at) "
    "VALUES (:call_id, :attempt, :scope, :scope_id, :metric, :period, :period_key, "
    ":amount, :committed, :limit, :level, :state, :worker, :at, :closed_at)"
)
_SAVE_HOLD = (
    "UPDATE cap_holds SET state = :state, committed = :committed, closed_at = :closed_at, "
    "expires_at = :expires_at WHERE call_id = :call_id AND attempt = :attempt AND scope = :scope "
    "AND scope_id = :scope_id AND metric = :metric AND period = :period"
)
_ADD_ENTRY = (
    "INSERT INTO cap_entries (kind, scope, scope_id, metric, period, period_key, amount, call_id, attempt, "
    "over_cap, reason, actor, at) VALUES (:kind, :scope, :scope_id, :metric, :period, :period_key, :amount, "
    ":call_id, :attempt, :over_cap, :reason, :actor, :at)"
)
_MONEY_THERE = "SELECT 1 FROM money_entries WHERE call_id = :call_id AND kind = :kind AND key = :key"
_ADD_MONEY = (
    "INSERT INTO money_entries (call_id, kind, key, amount_cents, buyer_id, source_id, reason, over_cap, at) "
    "VALUES (:call_id, :kind, :key, :amount_cents, :buyer_id, :source_id, :reason, :over_cap, :at)"
)


class Tx:
    """Holds everything one transaction has read and is about to write. Used by one thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._counters: dict[CounterKey, Counter] = {}
        self._holds: dict[tuple[str, int], list[HoldRow]] = {}
        self._new_holds: list[Params] = []
        self._entries: list[Params] = []
        self._new_money: list[Params] = []
        self._booked: set[tuple[str, str, str]] = set()

    def counter(self, key: CounterKey) -> Counter:
        """The counter, zero when it has no row yet."""
        found = self._counters.get(key)
        if found is None:
            rows = self.connection.rows(_COUNTER, key._asdict())
            found = self._counters[key] = Counter(*rows[0]) if rows else Counter()
        return found

    def holds(self, call_id: str, attempt: int) -> list[HoldRow]:
        """Every hold the attempt ever took; empty when it took none."""
        found = self._holds.get((call_id, attempt))
        if found is None:
            rows = self.connection.rows(_HOLDS, {"call_id": call_id, "attempt": attempt})
            found = [HoldRow(call_id, attempt, CounterKey(*row[:5]), *row[5:]) for row in rows]
            self._holds[call_id, attempt] = found
        return found

    def add_hold(self, row: HoldRow, worker: str, at: int) -> None:
        """A new hold; the counter is raised by its amount. A hold born committed holds nothing."""
        if row.state == "held":
            counter = self.counter(row.key)
            counter.held += row.amount
            counter.dirty = True
        self._holds.setdefault((row.call_id, row.attempt), []).append(row)
        self._new_holds.append(
            {
                **row.key._asdict(),
                "call_id": row.call_id,
                "attempt": row.attempt,
                "amount": row.amount,
                "committed": row.committed,
                "limit": row.limit,
                "level": row.level,
                "state": row.state,
                "worker": worker,
                "at": at,
                "closed_at": row.closed_at,
            }
        )

    def close_hold(self, row: HoldRow, state: str, at: int) -> None:
        """Free what the row still holds and set its state. What it commits is an entry of its own."""
        if row.state == "held":
            counter = self.counter(row.key)
            counter.held -= row.amount
            counter.dirty = True
        row.state, row.expires_at, row.dirty = state, None, True
        row.closed_at = row.closed_at or at

    def keep_hold(self, row: HoldRow, until: int) -> None:
        """Let the row hold on until the given epoch ms."""
        row.expires_at, row.dirty = until, True

    def enter(
        self, key: CounterKey, kind: str, amount: int, at: int, row: HoldRow | None = None, **why: Any
    ) -> None:
        """Append one entry and change the counter's `used` by it (`why`: over_cap, reason, actor)."""
        counter = self.counter(key)
        counter.used += amount
        counter.dirty = True
        if row is not None:
            row.committed += amount
        self._entries.append(
            {
                **key._asdict(),
                "kind": kind,
                "amount": amount,
                "call_id": row.call_id if row else None,
                "attempt": row.attempt if row else None,
                "over_cap": bool(why.get("over_cap", False)),
                "reason": why.get("reason"),
                "actor": why.get("actor"),
                "at": at,
            }
        )

    def has_money(self, entry: Money) -> bool:
        """True when an entry with this call, kind and key is booked already."""
        if (entry.call_id, entry.kind, entry.key) in self._booked:
            return True
        named = {"call_id": entry.call_id, "kind": entry.kind, "key": entry.key}
        return bool(self.connection.rows(_MONEY_THERE, named))

    def add_money(self, entry: Money, at: int, over_cap: bool) -> None:
        """Append one money entry; the caller has asked `has_money` before."""
        self._booked.add((entry.call_id, entry.kind, entry.key))
        self._new_money.append(
            {
                "call_id": entry.call_id,
                "kind": entry.kind,
                "key": entry.key,
                "amount_cents": entry.amount_cents,
                "buyer_id": entry.buyer_id,
                "source_id": entry.source_id,
                "reason": entry.reason,
                "over_cap": entry.over_cap or over_cap,
                "at": at,
            }
        )

    def write(self) -> None:
        """Write all changes so far; the owner of the transaction commits. May be called again for later
        changes.
        """
        if self._new_holds:
            self.connection.many(_ADD_HOLD, self._new_holds)
            self._new_holds = []
        if changed := [row for rows in self._holds.values() for row in rows if row.dirty]:
            self.connection.many(_SAVE_HOLD, [self._hold_params(row) for row in changed])
        if self._entries:
            self.connection.many(_ADD_ENTRY, self._entries)
            self._entries = []
        if self._new_money:
            self.connection.many(_ADD_MONEY, self._new_money)
            self._new_money = []
        if counters := sorted((key, c.used, c.held) for key, c in self._counters.items() if c.dirty):
            self.connection.many(
                _SAVE_COUNTER, [{**key._asdict(), "used": used, "held": held} for key, used, held in counters]
            )
        for row in changed:
            row.dirty = False
        for counter in self._counters.values():
            counter.dirty = False

    def _hold_params(self, row: HoldRow) -> Params:
        return {
            **row.key._asdict(),
            "call_id": row.call_id,
            "attempt": row.attempt,
            "state": row.state,
            "committed": row.committed,
            "closed_at": row.closed_at,
            "expires_at": row.expires_at,
        }
