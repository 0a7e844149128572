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


def translate(error: BaseException, where: str) -> StoreError | None:
    """The StoreError for a driver's error, or None if the error is not about the database being unusable.

    `where` names the database for the message: a file path or a URL without its password.
    """
    if isinstance(error, OSError):
        return _from_os(error, where)
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause).lower()
    if isinstance(cause, sqlite3.Error) or "sqlite" in type(cause).__module__:
        for needle, advice, retry in _SQLITE:
            if needle in text:
                return StoreError(f"database {where} {advice}", retry=retry)
    if isinstance(error, (OperationalError, InterfaceError)):
        return StoreError(f"database {where} does not answer: {_first_line(text)}", retry=True)
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
