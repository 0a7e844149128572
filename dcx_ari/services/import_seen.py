"""The keys a file has had so far: in a temporary file of SQLite's, so that a million of them take no memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Self


class Seen:
    """Key -> the row of the file that had it first. Used as a context manager, by one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # "": a file without a name
        self._db.execute("PRAGMA cache_size = -4000")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def first(self, keys: Sequence[tuple[int, tuple[Any, ...]]]) -> list[int]:
        """For each (row, key) the row that had the key first: its own, or an earlier one."""
        texts = [(json.dumps(key), row) for row, key in keys]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", texts)
        found = [self._db.execute("SELECT row FROM seen WHERE key = ?", (text,)).fetchone()[0] for text, _ in texts]
        self._db.execute("COMMIT")
        return found
