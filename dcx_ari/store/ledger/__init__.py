"""The ledger: caps reserved before dialling and settled after, money booked once and never edited."""

from dcx_ari.store.ledger.ledger import Ledger, open_ledger
from dcx_ari.store.ledger.settle import Freed
from dcx_ari.store.ledger.types import (
    CALL,
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
from dcx_ari.store.ledger.usage import Usage

__all__ = [
    "CALL",
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
    "Usage",
    "open_ledger",
]
