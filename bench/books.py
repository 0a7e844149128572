"""Did DCX keep its books while it was measured? A fast engine that loses rows would win the bench."""

import sqlite3
from contextlib import closing
from pathlib import Path

from dcx_ari.store.ledger.sqlite import SqliteConnection
from dcx_ari.store.ledger.verify import differences

CONVERTS_FROM_MS = 1000  # the talk after which every call of the seeded exchange is sold

UNSOLD = """SELECT count(*) FROM calls WHERE talk_ms > ? AND (NOT converted OR revenue_cents = 0
    OR payout_cents = 0 OR buyer_id IS NULL OR decision IS NULL)"""


def complaints(home: Path, placed: int) -> list[str]:
    """What is wrong with the rows of `placed` calls that have ended: a sentence each, none where all is well."""
    found: list[str] = []
    with closing(sqlite3.connect(home / "dcx.db")) as books:
        (rows,) = books.execute("SELECT count(*) FROM calls").fetchone()
        if rows != placed:
            found.append(f"{placed} calls were placed, {rows} have a row")
        (unended,) = books.execute("SELECT count(*) FROM calls WHERE ended_at IS NULL").fetchone()
        if unended:
            found.append(f"{unended} rows of calls have no end")
        (unsold,) = books.execute(UNSOLD, (CONVERTS_FROM_MS,)).fetchone()
        if unsold:
            found.append(f"{unsold} calls long enough were not sold in full (buyer, decision, revenue, payout)")
        found += [f"ledger: {difference}" for difference in list(differences(SqliteConnection(books)))[:3]]
    return found
