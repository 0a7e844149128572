"""Engine, sessions and transactions.

SQLite runs in WAL mode with foreign keys on. A writing transaction says BEGIN IMMEDIATE: one that starts by
reading and then writes would be refused at once (SQLITE_BUSY_SNAPSHOT), whatever the busy timeout, if another
process committed in between. See https://www.sqlite.org/isolation.html and lang_transaction.html. On PostgreSQL a
writing transaction takes an advisory lock, see `postgres.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store import postgres
from dcx_ari.store.errors import StoreError, translate

Session = AsyncSession
BUSY_TIMEOUT_MS = 5_000
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # with WAL a power cut loses the last commits at most
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16000",
)


def parse_url(url: str) -> URL:
    """`sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`; the driver is filled in where it is left out."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("database url: must look like sqlite:////path/to/dcx.db or postgresql://…") from None
    driver = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    full = driver.get(parsed.drivername, parsed.drivername)
    if full not in driver.values():
        raise StoreError(f"database url: {parsed.drivername} is not supported: use sqlite or postgresql")
    return parsed.set(drivername=full)


def describe(url: URL) -> str:
    """The file path, or the URL without its password."""
    return url.database or ":memory:" if url.drivername.startswith("sqlite") else url.render_as_string()


def create_engine(url: str | URL, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, pool_size: int = 5) -> AsyncEngine:
    """The async engine for a URL. Raises StoreError for a URL that cannot work."""
    parsed = parse_url(url) if isinstance(url, str) else url
    options: dict[str, Any] = {"pool_size": pool_size}
    if parsed.drivername.startswith("sqlite"):
        if parsed.database in (None, "", ":memory:"):
            options = {}  # one connection, kept: the pool of an in-memory database is chosen by SQLAlchemy
        options["connect_args"] = {"timeout": busy_timeout_ms / 1000}
    else:
        options["pool_pre_ping"] = True
        options["async_creator"] = lambda: postgres.connect(parsed, busy_timeout_ms)
    try:
        engine = create_async_engine(parsed, **options)
    except ModuleNotFoundError as error:
        raise StoreError(f"database url: {error.name} is not installed: pip install 'dcx-ari[postgres]'") from None
    if parsed.drivername.startswith("sqlite"):
        _prepare_sqlite(engine)
    else:
        _prepare_postgres(engine)
    return engine


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        try:
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
        except BaseException:
            connection.close()  # the pool does not know it yet, and its thread would outlive the loop
            raise
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("dcx_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _prepare_postgres(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("dcx_write", False):
            connection.exec_driver_sql(postgres.lock(postgres.SESSIONS))

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def _on_execute(_c: Connection, _cursor: Any, statement: str, params: Any, _x: Any, many: bool) -> tuple[str, Any]:
        return statement, [postgres.cleaned(row) for row in params] if many else postgres.cleaned(params)


@dataclass(frozen=True)
class Database:
    """Transactions on one database. `read()` and `write()` give a session; all errors are StoreError."""

    engine: AsyncEngine
    where: str = field(default="")
    info: Mapping[str, Any] = field(default_factory=dict)
    """What every session carries in `session.info`, such as who acts."""
    told: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a transaction of this process has committed rows for the outbox."""
    _reader: AsyncEngine = field(init=False)
    _writer: AsyncEngine = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", self.where or describe(self.engine.url))
        # PostgreSQL shows each statement the newest rows unless told otherwise; SQLite keeps to one view anyhow.
        one_view = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        object.__setattr__(self, "_reader", self.engine.execution_options(**one_view))
        object.__setattr__(self, "_writer", self.engine.execution_options(dcx_write=True))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """One consistent view of the database; rolled back at the end."""
        with self.translated():
            async with AsyncSession(self._reader, expire_on_commit=False, info=dict(self.info)) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """One transaction, with the write lock from the start; committed at the end or not at all."""
        with self.translated():
            made = AsyncSession(self._writer, expire_on_commit=False, info=dict(self.info))
            async with made as session, session.begin():
                await session.connection()  # BEGIN now, not at the first statement
                yield session
            if made.info.get("outbox"):
                self.told.set()

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """As `read()`, without an ORM session: for hot paths and for SQL of one's own."""
        with self.translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write_connection(self) -> AsyncIterator[AsyncConnection]:
        """As `write()`, without an ORM session: for hot paths."""
        with self.translated():
            async with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # asyncpg's own get past SQLAlchemy where a connection breaks
            if (known := translate(error, self.where)) is not None:
                raise known from error
            raise

    async def ping(self) -> None:
        """Returns if the database answers. Raises StoreError."""
        with self.translated():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


def open_database(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Database:
    """A Database for a URL; a SQLite file and its directory are made. Nothing is migrated yet.

    Raises StoreError. A SQLite file is opened here once: an aiosqlite thread that fails to open one
    outlives the event loop and complains.
    """
    parsed = parse_url(url)
    if parsed.drivername.startswith("sqlite") and parsed.database not in (None, "", ":memory:"):
        path = Path(str(parsed.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sqlite3.connect(path).close()
        except (OSError, sqlite3.Error) as error:
            raise translate(error, str(path)) or error from error
    return Database(create_engine(parsed, busy_timeout_ms=busy_timeout_ms))
