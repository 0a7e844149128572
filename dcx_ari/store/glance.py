"""The configuration's version, asked for by every call that begins: as cheap as each database allows."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dcx_ari.store import postgres
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError, translate

if TYPE_CHECKING:
    import asyncpg

_VERSION = "SELECT version FROM config_version"
_PATIENCE_S = 0.5


class Glance:
    """A connection of its own. SQLite is read on the event loop: in WAL mode that waits for nobody and takes
    microseconds, where a hop to a thread and back takes a fraction of a millisecond. PostgreSQL is asked, and waited
    for no longer than half a second.
    """

    def __init__(self, database: Database) -> None:
        self._url = database.engine.url
        self._where = database.where
        self._file: sqlite3.Connection | None = None
        self._server: asyncpg.Connection[Any] | None = None
        self._turn = asyncio.Lock()

    async def version(self) -> int:
        """Grows with every change of a configuration row. Raises StoreError."""
        if self._url.drivername.startswith("sqlite"):
            return self._of_file()
        try:
            async with asyncio.timeout(_PATIENCE_S), self._turn:
                return await self._of_server()
        except TimeoutError:
            self._forget()
            raise StoreError(f"database {self._where} does not answer in time", retry=True) from None

    def _of_file(self) -> int:
        try:
            if self._file is None:
                self._file = sqlite3.connect(f"file:{quote(str(self._url.database))}?mode=ro", uri=True, timeout=0.0)
            return int(self._file.execute(_VERSION).fetchone()[0])
        except sqlite3.Error as error:
            self._forget()
            raise translate(error, self._where) or StoreError(str(error)) from error

    async def _of_server(self) -> int:
        import asyncpg

        try:
            if self._server is None or self._server.is_closed():
                self._server = await postgres.connect(self._url, 1000)
            return int(await self._server.fetchval(_VERSION))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self._forget()
            raise translate(error, self._where) or StoreError(str(error), retry=True) from error

    def _forget(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._server is not None:
            self._server.terminate()
        self._file = self._server = None

    def close(self) -> None:
        self._forget()
