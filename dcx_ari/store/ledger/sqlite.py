"""The ledger on SQLite: the write lock is the file's, taken by BEGIN IMMEDIATE."""

import random
import sqlite3
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from dcx_ari.store.ledger.tx import Params

_DOWN = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


class SqliteLedger:
    """`LedgerDatabase` of a file."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    reads_at_once = True

    def __init__(self, path: str, timeout_s: float) -> None:
        self.where = path
        self._timeout_s = timeout_s

    def connect(self, *, read_only: bool = False) -> "SqliteConnection":
        db = _connect(self.where, self._timeout_s, read_only)
        if not read_only:
            db.execute("PRAGMA busy_timeout = 0")  # only BEGIN ever waits, see `begin`
        return SqliteConnection(db, self._timeout_s)

    def is_down(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DOWN

    def passes(self, error: Exception) -> bool:
        return False


class SqliteConnection:
    """`LedgerConnection` on sqlite3."""

    lost = False

    def __init__(self, db: sqlite3.Connection, timeout_s: float = 0.0) -> None:
        self.db = db
        self._timeout_s = timeout_s
        self._version = -1

    def rows(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        return self.db.execute(sql, params).fetchall()

    def many(self, sql: str, params: Iterable[Params]) -> None:
        self.db.executemany(sql, params)

    def begin(self) -> bool:
        """SQLite's own busy handler sleeps up to 100 ms at a time; short random waits are fairer."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self.db.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 — a wait, not a secret
        # Under the write lock: nobody else can commit from now on, so what is still right stays right.
        known, (self._version,) = self._version, self.db.execute("PRAGMA data_version").fetchone()
        return known == self._version

    def begin_reading(self) -> None:
        self.db.execute("BEGIN")

    def commit(self) -> None:
        self.db.execute("COMMIT")

    def rollback(self) -> None:
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def close(self) -> None:
        self.db.close()


def _connect(path: str, timeout_s: float, read_only: bool) -> sqlite3.Connection:
    """A connection in WAL mode that says BEGIN itself and may be used by another thread than this one."""
    target = f"file:{quote(path)}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(target, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    if not read_only:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        # Calls wait for a checkpoint: with the default of 1,000 pages, and still with 4,000, it is what the slowest
        # 1 % of them meet. 16,000 pages are 64 MB beside the database.
        db.execute("PRAGMA wal_autocheckpoint = 16000")
    return db
