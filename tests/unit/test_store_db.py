"""The database: migrations, transactions, and what a person is told when it cannot be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel, select

import dcx_ari.store.ledger.models  # noqa: F401  registers its tables
import dcx_ari.store.models as m
from dcx_ari.store.db import Database, open_database, parse_url
from dcx_ari.store.errors import StoreError
from dcx_ari.store.migrate import head, migrate
from dcx_ari.store.models.values import ConversionRule

pytestmark = pytest.mark.unit


@pytest.fixture
async def database(tmp_path: Path):
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db", busy_timeout_ms=50)
    await migrate(opened)
    yield opened
    await opened.close()


def _drift(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


async def test_the_migrations_make_what_the_models_say(database: Database):
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_drift) == []


async def test_migrating_twice_changes_nothing(database: Database):
    assert await migrate(database) == head()
    async with database.read() as session:
        assert (await session.exec(select(m.ConfigVersion.version))).all() == [1]


async def test_two_processes_may_migrate_at_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/dcx.db"
    assert await asyncio.gather(migrate(url), migrate(url)) == [head(), head()]


async def test_pragmas(database: Database):
    async with database.read() as session:
        answers = [(await session.exec(text(f"PRAGMA {name}"))).scalar() for name in ("journal_mode", "foreign_keys")]
    assert answers == ["wal", 1]


async def test_a_failed_transaction_leaves_nothing(database: Database):
    async def fail() -> None:
        async with database.write() as session:
            session.add(m.Buyer(name="A", endpoint_value="+15551234567"))
            await session.flush()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await fail()
    async with database.read() as session:
        assert (await session.exec(select(m.Buyer))).all() == []


async def test_typed_json_comes_back_typed(database: Database):
    rule = ConversionRule(kind="duration", threshold_s=90)
    async with database.write() as session:
        session.add(m.Buyer(name="A", endpoint_value="+15551234567", conversion_rules=[rule]))
    async with database.read() as session:
        buyer = (await session.exec(select(m.Buyer))).one()
    assert buyer.conversion_rules == [rule]
    assert buyer.duplicate is None


async def test_rows_written_in_sql_get_their_defaults(database: Database):
    async with database.write() as session:
        await session.exec(text("INSERT INTO calls (id, started_at) VALUES ('c1', 1)"))
        await session.exec(text("INSERT INTO recordings (id, call_id) VALUES ('c1.rec1', 'c1')"))
    async with database.read() as session:
        call = (await session.exec(select(m.Call))).one()
    assert (call.status, call.tags, call.talk_ms, call.converted) == ("RINGING", {}, 0, False)


async def test_ids_are_never_used_again(database: Database):
    async with database.write() as session:
        session.add(m.Campaign(name="A"))
    async with database.write() as session:
        await session.exec(text("DELETE FROM campaigns"))
        session.add(m.Campaign(name="B"))
    async with database.read() as session:
        assert (await session.exec(select(m.Campaign.id))).all() == [2]


async def test_ledger_entries_cannot_be_changed(database: Database):
    async with database.write() as session:
        await session.exec(
            text(
                "INSERT INTO money_entries (call_id, kind, key, amount_cents, over_cap, at) "
                "VALUES ('c1', 'revenue', 'k', 100, false, 1)"
            )
        )
    with pytest.raises(Exception, match="append-only"):
        async with database.write() as session:
            await session.exec(text("UPDATE money_entries SET amount_cents = 1"))


async def test_locked(database: Database):
    other = sqlite3.connect(database.where)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process") as caught:
            async with database.write():
                pass
        assert caught.value.retry
    finally:
        other.close()


async def test_a_newer_schema_is_refused(database: Database):
    async with database.write() as session:
        await session.exec(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer DCX .*9999.*upgrade dcx"):
        await migrate(database)


async def test_not_a_database(tmp_path: Path):
    path = tmp_path / "dcx.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 20)
    with pytest.raises(StoreError, match="not a database file"):
        await migrate(f"sqlite:///{path}")


def _overwrite(path: Path) -> None:
    """Keep the first page, so that it still looks like a database."""
    raw = bytearray(path.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    path.write_bytes(raw)


async def test_damaged(database: Database):
    path = Path(database.where)
    await database.close()
    _overwrite(path)
    again = open_database(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"damaged|not a database"):
        async with again.read() as session:
            await session.exec(select(m.Buyer))
    await again.close()


async def test_no_directory_can_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be reached|not writable"):
        open_database(f"sqlite:///{tmp_path}/file/dcx.db")


async def test_the_path_is_a_directory(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be opened"):
        await migrate(f"sqlite:///{tmp_path}")


async def test_no_room(tmp_path: Path):
    """A page limit answers as a full disk does: SQLITE_FULL."""
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    await migrate(opened)

    async def fill() -> None:
        async with opened.write() as session:
            await session.exec(text("PRAGMA max_page_count = 1"))
            session.add(m.Campaign(name="A", notes="x" * 1_000_000))

    with pytest.raises(StoreError, match="no room"):
        await fill()
    await opened.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x"])
def test_bad_urls(url: str):
    with pytest.raises(StoreError, match="database url"):
        parse_url(url)


def test_drivers_are_filled_in():
    assert parse_url("postgresql://u:secret@h/d").drivername == "postgresql+asyncpg"
    assert parse_url("sqlite:///x.db").drivername == "sqlite+aiosqlite"
