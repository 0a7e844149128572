"""What the ledger needs of a database, whichever it is."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dcx_ari.store.ledger.tx import Params


class LedgerConnection(Protocol):
    """One connection, used by one thread at a time. Also a `tx.Connection`."""

    def rows(self, sql: str, params: Params) -> Sequence[tuple[Any, ...]]: ...

    def many(self, sql: str, params: Iterable[Params]) -> None: ...

    def begin(self) -> bool:
        """Begin a transaction under the write lock. True: since this connection's last one nobody else has written,
        so that what was read then is still right.
        """
        ...

    def begin_reading(self) -> None:
        """Begin a transaction that sees the tables as they are now, whatever others write meanwhile."""
        ...

    def commit(self) -> None: ...

    def rollback(self) -> None:
        """End the transaction, if there is one, without a trace."""
        ...

    def close(self) -> None: ...

    @property
    def lost(self) -> bool:
        """Nothing can be done with it any more: it must be closed and another one made."""
        ...


class LedgerDatabase(Protocol):
    """Where the ledger is."""

    where: str
    """For messages: without a password."""
    errors: tuple[type[Exception], ...]
    """What its connections raise."""
    reads_at_once: bool
    """A read of a few rows takes microseconds and waits for nobody: it may be done on the event loop."""

    def connect(self, *, read_only: bool = False) -> LedgerConnection: ...

    def is_down(self, error: Exception) -> bool:
        """Whether the database refuses whatever is asked now (locked, full, read-only, damaged, away)."""
        ...

    def passes(self, error: Exception) -> bool:
        """Whether the same transaction, asked again, can be expected to go through (a deadlock)."""
        ...
