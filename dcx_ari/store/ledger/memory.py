"""What the writing thread remembers between its transactions, so that it reads nothing twice.

Good as long as nobody else commits: the writer asks the database (`PRAGMA data_version`) at the start of each
transaction, and forgets everything when another connection has written or when its own transaction is undone.
"""

from dataclasses import dataclass

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.types import Figure

MAX_CALLS = 4_096
MAX_COUNTERS = 65_536


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


class Memory:
    """Rows as they stand in the database, by what they are asked for; what is absent was not read."""

    def __init__(self) -> None:
        self.counters: dict[CounterKey, Figure] = {}
        self.holds: dict[str, dict[int, list[HoldRow]]] = {}  # by call, then by attempt: all of a call or none
        self.money: dict[str, dict[tuple[str, str], int]] = {}  # by call: cents by (kind, key)
        self.rev: int | None = None

    def forget(self) -> None:
        """What is remembered may be wrong."""
        self.counters.clear()
        self.holds.clear()
        self.money.clear()
        self.rev = None

    def trim(self) -> None:
        """Drop the calls that were remembered first: most of them are over."""
        if len(self.counters) > MAX_COUNTERS:
            self.counters.clear()
        for calls in (self.holds, self.money):
            for call_id in list(calls)[: len(calls) // 2] if len(calls) > MAX_CALLS else ():
                del calls[call_id]
