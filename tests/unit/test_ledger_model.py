"""Random sequences of reserve, settle, release, crash and period change against a dictionary."""

import sqlite3
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger_kit import hold, new_file

from dcx_ari.decide.caps import CounterKey, Hold, Outcome, committed
from dcx_ari.store.ledger import AttemptClosed, Refused, Reserved
from dcx_ari.store.ledger.memory import Memory
from dcx_ari.store.ledger.money import Convert
from dcx_ari.store.ledger.reserve import Reserve
from dcx_ari.store.ledger.settle import CommitConnect, Release, ReleaseExpired, ReleaseOrphans, Settle
from dcx_ari.store.ledger.sqlite import SqliteConnection
from dcx_ari.store.ledger.tx import Tx
from dcx_ari.store.ledger.verify import differences
from dcx_ari.store.ledger.writer import Request

pytestmark = pytest.mark.unit

LIMITS = st.sampled_from([None, 0, 1, 2, 3])
CALLS = st.integers(0, 7)
WORKERS = st.sampled_from(["dcx-0", "dcx-1"])


@cache
def _template() -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        on_disk = sqlite3.connect(new_file(Path(folder) / "ledger.db"))
        on_disk.backup(memory)
        on_disk.close()
    return memory


class LedgerModel(RuleBasedStateMachine):
    """`open` is what each attempt holds, `used` what was committed. Nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        _template().backup(self.db)
        self.memory = Memory()
        self.at = 1
        self.day = 1
        self.open: dict[str, list[Hold]] = {}
        self.worker: dict[str, str] = {}
        self.seen: set[str] = set()
        self.unconverted: dict[str, list[Hold]] = {}
        self.used: dict[CounterKey, int] = {}
        self.limits: tuple[int | None, ...] = (2, 2, 2, 2)

    def teardown(self) -> None:
        found = list(differences(SqliteConnection(self.db)))
        self.db.close()
        assert found == []

    @rule(limits=st.tuples(LIMITS, LIMITS, LIMITS, LIMITS))
    def configure(self, limits: tuple[int | None, ...]) -> None:
        self.limits = limits

    def run(self, *requests: Request, die: bool = False) -> list:
        """All in one transaction, as the writer does; or the process dies before its commit."""
        self.at += 1
        self.db.execute("BEGIN IMMEDIATE")
        tx = Tx(SqliteConnection(self.db), self.memory)
        answers = []
        for request in requests:
            try:
                answers.append(request.apply(tx))
            except AttemptClosed as error:
                answers.append(error)
        tx.write()
        self.db.execute("ROLLBACK" if die else "COMMIT")
        if die:
            self.memory.forget()
        return answers

    def holds(self, buyer: int) -> list[Hold]:
        concurrent, day, convert, revenue = self.limits
        return [
            hold("connect", "day", day, scope_id=buyer, key=f"2026-05-{self.day:02}"),
            hold("attempt", "total", None, scope_id=buyer),
            hold("convert", "month", convert, scope_id=buyer, key="2026-05"),
            hold("revenue_cents", "day", revenue and revenue * 10, 10, scope_id=buyer, key=f"{self.day:02}"),
            hold("attempt", "concurrent", concurrent, scope_id=buyer),
        ]

    def level(self, key: CounterKey) -> int:
        held = sum(h.amount for holds in self.open.values() for h in holds if h.key == key)
        return self.used.get(key, 0) + held

    def commit(self, wanted: Hold, amount: int) -> None:
        self.used[wanted.key] = self.used.get(wanted.key, 0) + amount

    @rule(numbers=st.lists(CALLS, min_size=1, max_size=4), buyer=st.integers(1, 2), worker=WORKERS, sweep=st.booleans())
    def reserve(self, numbers: list[int], buyer: int, worker: str, sweep: bool) -> None:
        """Some in one transaction, perhaps with a sweep (which has to write first) after each."""
        wanted = self.holds(buyer)
        calls = [f"c{number}" for number in numbers]
        asked: list[Request] = []
        for call in calls:
            asked += [Reserve(call, 1, tuple(wanted), worker, self.at)] + [ReleaseExpired(self.at)] * sweep
        answers = self.run(*asked)[:: 2 if sweep else 1]
        for call, answer in zip(calls, answers, strict=True):
            if call in self.seen:
                closed = call not in self.open
                assert isinstance(answer, AttemptClosed) if closed else answer == Reserved(call, 1, True)
                continue
            full = [h.key for h in wanted if h.limit is not None and self.level(h.key) + h.amount > h.limit]
            if full:
                assert isinstance(answer, Refused)
                assert answer.key == full[0]
                assert answer.used + answer.held == self.level(full[0])
            else:
                assert answer == Reserved(call, 1)
                self.seen.add(call)
                self.open[call], self.worker[call] = list(wanted), worker
                self.unconverted[call] = wanted[2:4]

    @rule(number=CALLS, buyer=st.integers(1, 2))
    def die_before_commit(self, number: int, buyer: int) -> None:
        self.run(
            Reserve(f"c{number}", 1, tuple(self.holds(buyer)), "dcx-0", self.at),
            Settle(f"c{number}", 1, Outcome(answered=True), self.at),
            die=True,
        )

    @rule(number=CALLS, answered=st.booleans(), twice=st.booleans())
    def settle(self, number: int, answered: bool, twice: bool) -> None:
        call, outcome = f"c{number}", Outcome(answered=answered)
        counted = hold("connect", "hour", scope="group", key="10")
        answers = self.run(*[Settle(call, 1, outcome, self.at, counts=[counted])] * (2 if twice else 1))
        assert answers == [call in self.open, False][: len(answers)]
        if call in self.open and answered:
            self.commit(counted, 1)
        for held in self.open.pop(call, []):
            self.commit(held, committed(held, outcome))

    @rule(number=CALLS)
    def answer(self, number: int) -> None:
        call = f"c{number}"
        mine = [h for h in self.open.get(call, []) if h.metric == "connect"]
        assert self.run(CommitConnect(call, 1, self.at)) == [bool(mine)]
        for held in mine:
            self.open[call].remove(held)
            self.commit(held, 1)

    @rule(number=CALLS, price=st.integers(0, 15))
    def convert(self, number: int, price: int) -> None:
        call = f"c{number}"
        (answer,) = self.run(Convert(call, 1, price, (), self.at))
        late, over = not set(self.unconverted.get(call, [])) <= set(self.open.get(call, [])), []
        for held in self.unconverted.pop(call, []):
            if not late:
                self.open[call].remove(held)
            actual = 1 if held.metric == "convert" else price
            self.commit(held, actual)
            unheld = actual > 0 and (late or actual > held.amount)
            if unheld and held.limit is not None and self.level(held.key) > held.limit:
                over.append(held.key)
        assert list(answer.over_cap) == over

    @precondition(lambda self: self.open)
    @rule(number=CALLS)
    def release(self, number: int) -> None:
        call = f"c{number}"
        assert self.run(Release(call, 1, self.at)) == [call in self.open]
        self.open.pop(call, None)

    @rule(live=st.sets(CALLS), worker=WORKERS)
    def crash_of_a_worker(self, live: set[int], worker: str) -> None:
        alive = frozenset(f"c{number}" for number in live)
        (freed,) = self.run(ReleaseOrphans(alive, worker, self.at + 1, self.at))
        lost = sorted(c for c, holds in self.open.items() if holds and self.worker[c] == worker and c not in alive)
        assert [one.call_id for one in freed] == lost
        for call in lost:
            del self.open[call]

    @rule()
    def next_day(self) -> None:
        self.day += 1

    @invariant()
    def counters_are_as_the_model_says(self) -> None:
        rows = self.db.execute(
            "SELECT scope, scope_id, metric, period, period_key, used, held FROM cap_counters"
        ).fetchall()
        shown = {CounterKey(*row[:5]): (row[5], row[6]) for row in rows}
        keys = {h.key for holds in self.open.values() for h in holds} | set(self.used)
        for key in keys | set(shown):
            used, held = shown.get(key, (0, 0))
            assert (used, used + held) == (self.used.get(key, 0), self.level(key)), key


TestLedgerModel = LedgerModel.TestCase
TestLedgerModel.settings = settings(
    max_examples=120,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
