"""The money of a call that is over, beside the buyer's: what the source is paid, what the legs cost."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.desk import Account
from dcx_ari.store.ledger import Money


def money_of(call: Call, account: Account, snapshot: Snapshot, now: int) -> list[Money]:
    """Payout and cost entries; booking them twice changes nothing."""
    return []
