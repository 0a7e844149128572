"""The ledger: caps reserved before dialling and settled after, money booked once and never edited."""

from dcx_ari.store.ledger.ledger import Ledger, open_ledger
from dcx_ari.store.ledger.settle import Freed
from dcx_ari.store.ledger.types import (
    CALL,
    Adjusted,
    AttemptClosed,
    BadEntry,
    Converted,
    Difference,
    Figure,
    LedgerError,
    Money,
    Refused,
    Reserved,
    Spacing,
    Sums,
)

__all__ = [
    "CALL",
    "Adjusted",
    "AttemptClosed",
    "BadEntry",
    "Converted",
    "Difference",
    "Figure",
    "Freed",
    "Ledger",
    "LedgerError",
    "Money",
    "Refused",
    "Reserved",
    "Spacing",
    "Sums",
    "open_ledger",
]
