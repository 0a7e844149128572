"""The same tests on SQLite and on PostgreSQL.

Tests name a SQLite file. Where they run on PostgreSQL, the file stands in for a database of the session's server: its
text is the database's name, and a copied file becomes a copied database. So tests need not know; those that reach
into a SQLite file themselves are marked `sqlite_only`.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from dcx_ari.store import db
from dcx_ari.store.ledger import ledger
from dcx_ari.store.migrate import migrate
from dcx_asterisk.servers import Postgres

TEMPLATE = "dcx_template"
SCRIPT = Path(__file__).with_suffix(".sql")
_MARK = "a database of PostgreSQL: "


class Databases:
    """Databases on one server. Used ones are put back into the state of the template and used again."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._names = itertools.count(1)
        self._thread = ThreadPoolExecutor(1)  # of its own event loop: askers are on loops of theirs
        self._free: list[str] = []
        self._lent: dict[str, Path] = {}
        self.run(f"CREATE DATABASE {TEMPLATE}")
        self._thread.submit(asyncio.run, migrate(text(self._url(TEMPLATE)))).result()
        self.run(SCRIPT.read_text(), TEMPLATE)

    def of(self, path: Path) -> URL:
        """The database that a file stands for; made where there is none."""
        kept = path.read_bytes().decode("utf-8", "replace") if path.exists() else f"{_MARK}{TEMPLATE} "
        assert kept.startswith(_MARK), f"{path} is of SQLite: a module's fixture that makes it must ask for `dbms`"
        told = kept.removeprefix(_MARK)
        name, _, owner = told.partition(" ")
        if owner != str(path):
            untouched = name == TEMPLATE or self.run("SELECT made.untouched()", name)
            name = self._lend(path) if untouched else self._made_from(name, path)
        return self._url(name)

    def seized(self, path: Path, other: Path) -> None:
        """A copy as it is at this moment; whoever is connected to the first is thrown out and kept out."""
        name = str(self.of(path).database)
        self._finished(name)
        self.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self._throw_out(name)
        self._made_from(name, other)
        self.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def _finished(self, name: str) -> None:
        """What a ledger's thread is writing gets its commit, as a copy of a SQLite file would wait for it."""
        at_work = f"pg_stat_activity WHERE datname = '{name}' AND state <> 'idle' AND application_name = 'dcx-ledger'"
        deadline = time.monotonic() + 10
        while self.run(f"SELECT count(*) FROM {at_work}") and time.monotonic() < deadline:  # noqa: S608
            time.sleep(0.005)

    def take_back(self, below: Path) -> None:
        """The databases of the files below a folder can be used by others."""
        for name in [name for name, path in self._lent.items() if path.is_relative_to(below)]:
            self._lent.pop(name).unlink(missing_ok=True)
            self._throw_out(name)
            self.run("SELECT made.again()", name)
            self._free.append(name)

    def run(self, statement: str, database: str = "postgres") -> Any:
        return self._thread.submit(asyncio.run, self._run(statement, database)).result()

    def _lend(self, path: Path) -> str:
        if not self._free:
            return self._made_from(TEMPLATE, path)
        return self._named(self._free.pop(), path)

    def _made_from(self, template: str, path: Path) -> str:
        name = f"dcx_{next(self._names)}"
        self._throw_out(template)  # those who have closed their connections just now
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._named(name, path)

    def _named(self, name: str, path: Path) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{_MARK}{name} {path}")
        self._lent[name] = path
        return name

    def _throw_out(self, name: str) -> None:
        others = f"pg_stat_activity WHERE datname = '{name}'"
        self.run(f"SELECT count(pg_terminate_backend(pid, 20000)) FROM {others}")  # noqa: S608 — names of ours

    async def _run(self, statement: str, database: str) -> Any:
        connection = await asyncpg.connect(text(self._url(database).set(drivername="postgresql")))
        try:
            if statement.startswith("SELECT"):
                return await connection.fetchval(statement)
            return await connection.execute(statement)
        finally:
            await connection.close()

    def _url(self, name: str) -> URL:
        return make_url(self.server.url).set(database=name)


def instead(databases: Databases, patch: pytest.MonkeyPatch) -> None:
    """From now on a SQLite file stands for a database of PostgreSQL."""
    parse, make = db.parse_url, ledger._database

    def parse_url(url: str) -> URL:
        parsed = parse(url)
        if parsed.drivername.startswith("sqlite") and parsed.database not in (None, "", ":memory:"):
            return databases.of(Path(str(parsed.database)))
        return parsed

    def database(where: str, timeout_s: float) -> Any:
        return make(where if where.startswith("postgres") else text(databases.of(Path(where))), timeout_s)

    parse_url.databases = databases  # type: ignore[attr-defined]
    patch.setattr(db, "parse_url", parse_url)
    patch.setattr(ledger, "parse_url", parse_url)
    patch.setattr(ledger, "_database", database)


def copied_live(path: Path, other: Path) -> None:
    """A copy of what is committed, while others may be at work. On PostgreSQL they lose their connections."""
    if (databases := getattr(db.parse_url, "databases", None)) is not None:
        databases.seized(path, other)
        return
    with closing(sqlite3.connect(path)) as was, closing(sqlite3.connect(other)) as now:
        was.backup(now)


def text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def url_of(path: Path) -> str:
    """The URL for a process that does not know of stand-ins."""
    return text(db.parse_url(f"sqlite:///{path}"))


def where_of(path: Path) -> str:
    """The same, for `Ledger`."""
    url = db.parse_url(f"sqlite:///{path}")
    return str(path) if url.drivername.startswith("sqlite") else text(url)


def rows(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Go behind everybody's back: one statement with `?` parameters, committed."""
    url = db.parse_url(f"sqlite:///{path}")
    if not url.drivername.startswith("sqlite"):
        return in_thread(_rows, url, statement, values)
    with closing(sqlite3.connect(path)) as opened, opened:
        return opened.execute(statement, values).fetchall()


def _rows(url: URL, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    from dcx_ari.store.ledger.pg import PgConnection

    with closing(PgConnection(url, 20.0)) as connection:
        return connection.rows(statement, values)  # asyncpg commits what is not in a transaction


def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Away from the running event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args).result()
