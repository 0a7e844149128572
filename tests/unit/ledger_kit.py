"""What the ledger's tests share: a fresh database file, a clock, and holds in few words."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine
from sqlmodel import SQLModel

from dcx_ari.decide.caps import CounterKey, Hold, Metric, Outcome, Scope
from dcx_ari.decide.periods import Period
from dcx_ari.store.ledger import Ledger
from dcx_ari.store.ledger.models import TABLES
from dcx_ari.store.models import Call
from tests import databases

KEYS: dict[str, str] = {"concurrent": "now", "hour": "2026-05-01T10+0000", "day": "2026-05-01", "total": "all"}
ANSWERED = Outcome(answered=True)
START = 1_777_630_000_000


def new_file(path: Path) -> Path:
    """A database file with the ledger's tables and that of calls, in WAL mode as the store makes it. (On PostgreSQL:
    a file that stands for a migrated database.)
    """
    if databases.where_of(path) != str(path):
        return path
    engine = create_engine(URL.create("sqlite", database=str(path)))
    SQLModel.metadata.create_all(engine, tables=[*TABLES, Call.__table__])
    engine.dispose()
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    return path


class Clock:
    """Epoch ms that stand still until told."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def hold(
    metric: Metric = "connect",
    period: Period = "day",
    limit: int | None = None,
    amount: int = 1,
    *,
    scope: Scope = "buyer",
    scope_id: int = 1,
    key: str | None = None,
) -> Hold:
    return Hold(scope, scope_id, metric, period, key or KEYS[period], amount, limit)


def leg(limit: int | None = None, buyer: int = 1) -> tuple[Hold, ...]:
    """The usual holds of a leg: concurrency, calls, conversions, revenue of 15.00."""
    return (
        hold("attempt", "concurrent", limit, scope_id=buyer),
        hold("attempt", "day", limit, scope_id=buyer),
        hold("connect", "day", limit, scope_id=buyer),
        hold("convert", "day", limit, scope_id=buyer),
        hold("revenue_cents", "day", None if limit is None else limit * 1500, 1500, scope_id=buyer),
    )


async def shown(ledger: Ledger, wanted: Hold | CounterKey) -> tuple[int, int]:
    """(used, held) of one counter."""
    key = wanted.key if isinstance(wanted, Hold) else wanted
    found = await ledger.figures([(key.scope, key.scope_id)], [key.period_key])
    return tuple(found.get(key, (0, 0)))  # type: ignore[return-value]


def sql(ledger: Ledger, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Go behind the ledger's back."""
    return databases.rows(Path(ledger.path), statement, *values)
