"""Rows that go with the ledger's transactions: the calls' journal shares their group commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dcx_ari.store.ledger.tx import Tx

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and its rows of `?` parameters."""


@dataclass(frozen=True, slots=True)
class WriteRows:
    """Request: run each statement with its rows of `?` parameters, in order."""

    statements: Sequence[Statement]

    def apply(self, tx: Tx) -> None:
        for sql, rows in self.statements:
            tx.connection.many(sql, rows)
