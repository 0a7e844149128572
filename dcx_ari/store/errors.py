"""One error for a database that cannot be used; its message says what to do."""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError


class StoreError(Exception):
    """The database cannot be used now. `str()` is one line for a person, without a traceback or a secret."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class StatementRefused(Exception):
    """A statement that the database will never take, whenever it is tried: always a fault of ours."""


# What SQLite says (lower case) -> what to tell a person. The texts are those of sqlite3_errstr().
_SQLITE = (
    (
        "database is locked",
        "is locked by another process: wait for it to finish or stop it, then try again",
        True,
    ),
    ("readonly database", "is not writable: check the permissions of the file and of its directory", False),
    ("unable to open", "cannot be opened: the directory must exist and be writable by this user", False),
    ("disk is full", "has no room to grow: free some disk space, then try again", True),
    ("disk i/o error", "cannot be read or written: check the disk (full, failing or removed?)", False),
    ("malformed", "is damaged: stop dcx and restore the file from a backup", False),
    ("not a database", "is not a database file: move it away or name another DCX_DATABASE_URL", False),
    (
        "no such table",
        "has no tables yet or is incomplete: run `dcx up` or any `dcx` command to migrate it",
        False,
    ),
)


# SQLSTATE, or its class of two characters -> the same for PostgreSQL.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES = (
    ("55P03", "is locked by another process: wait for it to finish or stop it, then try again", True),
    ("40", "was busy with two transactions that waited for each other: try again", True),
    ("25006", "is not writable: it is a standby, or set to read only", False),
    ("25P03", "gave up a transaction that stood still for too long", True),
    ("28", "refuses this user or password: check DCX_DATABASE_URL", False),
    ("3D000", "does not exist on that server: create it (createdb), or name another DCX_DATABASE_URL", False),
    ("42501", "does not let this user do that: grant the rights, or make the user the database's owner", False),
    ("42P01", "has no tables yet or is incomplete: run `dcx up` or any `dcx` command to migrate it", False),
    ("53100", "has no room to grow: free some disk space, then try again", True),
    ("53300", "has no connection left: raise max_connections, or run fewer processes", True),
    ("53", "lacks memory or another resource", True),
    ("57014", "took too long", True),
    ("57P", "is shutting down or starting up", True),
    ("58", "cannot read or write its files: check that server's disk and log", True),
    ("08", "does not answer: the connection was lost", True),
    ("XX", "reports damage or a fault of its own: look into that server's log", False),
)
_LOST = (
    *("connection is closed", "connection was closed", "connection has been", "underlying connection"),
    "cannot switch to state",  # asked in the very moment in which the connection broke
)
_PASSING = ("42P01", "42501", "40", "57014")  # about one statement, not about all that is asked now


def translate(error: BaseException, where: str) -> StoreError | None:
    """The StoreError for a driver's error, or None if the error is not about the database being unusable.

    `where` names the database for the message: a file path or a URL without its password.
    """
    if isinstance(error, OSError):
        return _from_os(error, where)
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause).lower()
    if (found := _from_postgres(cause)) is not None:
        return StoreError(f"database {where} {found[1]}", retry=found[2])
    if isinstance(cause, sqlite3.Error) or "sqlite" in type(cause).__module__:
        for needle, advice, retry in _SQLITE:
            if needle in text:
                return StoreError(f"database {where} {advice}", retry=retry)
    if isinstance(error, (OperationalError, InterfaceError)):
        return StoreError(f"database {where} does not answer: {_first_line(text)}", retry=True)
    return None


def postgres_is_down(error: BaseException) -> bool:
    """Whether PostgreSQL refuses whatever is asked now: away, full, locked, read only."""
    found = _from_postgres(error)
    return isinstance(error, OSError) or (found is not None and found[0] not in _PASSING)


def _from_postgres(error: BaseException | None) -> tuple[str, str, bool] | None:
    """The row of `_POSTGRES` for an error of asyncpg or of SQLAlchemy's adapter of it, by what it carries."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return next((row for row in _POSTGRES if state.startswith(row[0])), None)
    text = str(error).lower()
    if "asyncpg" in f"{type(error).__module__} {type(error)}" and any(word in text for word in _LOST):
        return "08", "does not answer: the connection was lost", True
    return None


def _from_os(error: OSError, where: str) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"database {where} has no room to grow: free some disk space", retry=True)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"database {where} is not writable: check the permissions of its directory")
    reason = error.strerror or _first_line(str(error))
    return StoreError(f"database {where} cannot be reached: {reason}", retry=True)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
