"""The four tables of the ledger.

`cap_counters` are sums kept for speed; everything in them can be recomputed from `cap_holds` and
`cap_entries` (`verify.py` does). `cap_entries` and `money_entries` are append-only: triggers refuse UPDATE
and DELETE.
"""

from sqlalchemy import DDL, BigInteger, CheckConstraint, Column, Index, Table, UniqueConstraint, event, text
from sqlmodel import Field, SQLModel


class CapCounter(SQLModel, table=True):
    """What one counter shows now. `used` is committed, `held` is promised to live attempts.

    Counts for calls, cents for `revenue_cents`; for period `spacing`, `used` is the epoch ms of the last
    attempt. `rev` grows with every transaction that changes counters: what is above it is newer.
    """

    __tablename__ = "cap_counters"
    # period_key before metric and period: "all figures of this buyer today" is then one range of the key
    __table_args__ = (
        CheckConstraint("held >= 0", name="held"),
        Index("ix_cap_counters_rev", "rev"),
        {"sqlite_with_rowid": False},
    )
    scope: str = Field(primary_key=True)
    scope_id: int = Field(primary_key=True)
    period_key: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    used: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    held: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    rev: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class CapHold(SQLModel, table=True):
    """One hold of one attempt. `state`: held, then committed or released, for good.

    `committed` is what the hold became in the end (the sum of its entries), `level` the counter's used + held
    right after the hold was taken, `expires_at` set while only a buyer's postback is awaited. A conversion that is
    only counted leaves one row with `amount` 0 and no limit, as the sign that the attempt is sold.
    """

    __tablename__ = "cap_holds"
    __table_args__ = (
        Index(
            "ix_cap_holds_open",
            "worker",
            sqlite_where=text("state = 'held'"),
            postgresql_where=text("state = 'held'"),
        ),
        {"sqlite_with_rowid": False},
    )
    call_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    scope_id: int = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    period_key: str
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    committed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    limit_value: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    level: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    state: str = "held"
    worker: str
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    closed_at: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    expires_at: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class CapEntry(SQLModel, table=True):
    """One signed change of a counter's `used`. `kind`: commit (of a hold), correction (same call, later), count (of a
    call that held nothing there: no limit) or adjust (by hand).
    """

    __tablename__ = "cap_entries"
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    scope: str
    scope_id: int
    metric: str
    period: str
    period_key: str
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    call_id: str | None = None
    attempt: int | None = None
    over_cap: bool = False
    reason: str | None = None
    actor: str | None = None
    at: int = Field(sa_column=Column(BigInteger, nullable=False))


class MoneyEntry(SQLModel, table=True):
    """One booking, signed integer cents. `kind`: revenue (buyer pays us), payout (we pay the source), cost.

    `key` makes it idempotent within call and kind: a second booking under the same key is a no-op. `reported_at`: the
    time that a report from outside gives, `at` the time of booking.
    """

    __tablename__ = "money_entries"
    __table_args__ = (UniqueConstraint("call_id", "kind", "key", name="uq_money_entries_key"),)
    id: int | None = Field(default=None, primary_key=True)
    call_id: str
    kind: str
    key: str
    amount_cents: int = Field(sa_column=Column(BigInteger, nullable=False))
    buyer_id: int | None = None
    source_id: int | None = None
    reason: str | None = None
    over_cap: bool = False
    reported_at: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))


APPEND_ONLY = ("cap_entries", "money_entries")
TABLES: tuple[Table, ...] = tuple(
    SQLModel.metadata.tables[name] for name in ("cap_counters", "cap_holds", *APPEND_ONLY)
)


def append_only_ddl(dialect: str) -> list[str]:
    """Statements that make the entry tables append-only; for the migration, and for `create_all` in tests."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for table in APPEND_ONLY
            for verb in ("UPDATE", "DELETE")
        ]
    refuse = (
        "CREATE OR REPLACE FUNCTION dcx_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    return [refuse] + [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION dcx_append_only()"
        for table in APPEND_ONLY
    ]


TURNS = "CREATE SEQUENCE ledger_turns"
"""PostgreSQL only: counts the ledger's transactions; see `pg.PgConnection.begin`."""


def _guard_on_create() -> None:
    turns = DDL(TURNS).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    event.listen(SQLModel.metadata.tables["cap_counters"], "after_create", turns)
    for dialect in ("sqlite", "postgresql"):
        for statement in append_only_ddl(dialect):
            table = next((t for t in APPEND_ONLY if f"ON {t} " in statement), APPEND_ONLY[0])
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
            event.listen(SQLModel.metadata.tables[table], "after_create", ddl.execute_if(dialect=dialect))


_guard_on_create()
