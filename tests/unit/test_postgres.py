"""What is PostgreSQL's own: errors in plain words, locks, text that it does not take, and its death."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from ledger_kit import START, leg, shown
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from dcx_ari.call.ports import Inbound
from dcx_ari.configuration import Configuration
from dcx_ari.services import doctor
from dcx_ari.settings import read_settings
from dcx_ari.store import postgres as pg
from dcx_ari.store.db import Database, open_database, parse_url
from dcx_ari.store.errors import StoreError
from dcx_ari.store.journal import Journal
from dcx_ari.store.ledger import Ledger, Reserved
from dcx_ari.store.ledger.rows import WriteRows
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call, CallEvent, Campaign
from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Postgres
from tests.databases import Databases
from tests.databases import text as text_of

pytestmark = [pytest.mark.unit, pytest.mark.pg]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One to be killed."""
    with tempfile.TemporaryDirectory(prefix="dcx-tests-", ignore_cleanup_errors=True) as folder:
        made = Postgres(Path(folder), ensure("servers"), durable=True)
        made.start()
        asyncio.run(migrate(made.url))
        yield made
        made.stop(signal.SIGQUIT)


@pytest.fixture
async def db(server: Postgres) -> AsyncIterator[Database]:
    opened = open_database(server.url, busy_timeout_ms=100)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(server: Postgres) -> AsyncIterator[Ledger]:
    made = Ledger(server.url, busy_timeout_ms=100, clock=lambda: START)
    yield made
    await made.close()


def journal_of(ledger: Ledger) -> Journal:
    return Journal(lambda statements: ledger.submit(WriteRows(statements)), "dcx-0", ZoneInfo("UTC"))


async def test_migrating_at_once(postgres: Databases) -> None:
    postgres.run("CREATE DATABASE bare")
    url = str(parse_url(postgres.server.url).set(database="bare"))
    assert len(set(await asyncio.gather(migrate(url), migrate(url)))) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "cannot be reached"),
        ({"database": "nowhere"}, "does not exist on that server: create it"),
        ({"username": "nobody"}, "refuses this user or password"),
        ({"host": "nowhere.invalid"}, "cannot be reached"),
        ({"query": {"sslmode": "perhaps"}}, "cannot be understood"),
    ],
)
async def test_an_error_says_what_to_do_and_no_password(server: Postgres, change: Any, said: str) -> None:
    url = parse_url(server.url).set(password="hunter2", **change)
    for ask in (open_database, Ledger):
        opened: Any = ask(url.render_as_string(hide_password=False))
        with pytest.raises(StoreError, match=said) as caught:
            await (opened.ping() if isinstance(opened, Database) else opened.release("c", 1))
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(caught.value.__cause__)
        await opened.close()


async def test_one_writes_at_a_time_and_the_ledger_waits_for_no_session(db: Database, ledger: Ledger) -> None:
    async with db.write():
        with pytest.raises(StoreError, match="locked by another process") as caught:
            async with db.write():
                pass
        assert caught.value.retry
        assert isinstance(await ledger.reserve("waits", 1, leg()), Reserved)


async def test_a_locked_ledger_is_said_and_does_no_harm(db: Database, ledger: Ledger) -> None:
    await ledger.reserve("locked", 1, leg(buyer=7))
    async with db.write_connection() as connection:
        await connection.execute(text(pg.lock(pg.LEDGER)))
        with pytest.raises(StoreError, match="locked"):
            await ledger.release("locked", 1)
    assert await ledger.release("locked", 1)


async def test_a_read_sees_one_moment(db: Database) -> None:
    async with db.read() as session:
        before = (await session.exec(select(Campaign))).all()
        async with db.write() as other:
            other.add(Campaign(name="Meanwhile"))
        assert (await session.exec(select(Campaign))).all() == before


async def test_a_standby_is_said(server: Postgres) -> None:
    raw = await asyncpg.connect(pg.dsn(parse_url(server.url)))
    await raw.execute("ALTER ROLE dcx SET default_transaction_read_only = on")
    try:
        opened = open_database(server.url)
        with pytest.raises(StoreError, match="not writable: it is a standby"):
            async with opened.write() as session:
                session.add(Campaign(name="A"))
        await opened.close()
    finally:
        await raw.execute("ALTER ROLE dcx SET default_transaction_read_only = off")
        await raw.close()


async def test_text_that_it_does_not_take_costs_no_row(db: Database, ledger: Ledger) -> None:
    """Callers can send NUL and halves of characters, in names and in headers."""
    journal = journal_of(ledger)
    bad = "a\x00b\ud83d \U0001f600"
    journal.opened("bad", Inbound("ch", "+1", bad, bad, {"x": bad}, False), START)
    journal.event("bad", START, "note", {"said": bad, "plain": "\\u0000"})
    await journal.durable()
    await journal.close()
    async with db.read() as session:
        row = (await session.exec(select(Call).where(col(Call.id) == "bad"))).one()
        event = (await session.exec(select(CallEvent).where(col(CallEvent.call_id) == "bad"))).one()
    assert row.caller_name == row.headers["x"] == event.data["said"] == "a\ufffdb? \U0001f600"
    assert event.data["plain"] == "\\u0000"
    assert journal.refused == 0


async def test_people_can_write_it_too(db: Database) -> None:
    bad = "a\x00b \U0001f600"
    async with db.write() as session:
        session.add(Campaign(name="Odd", notes=bad))
        session.add(Call(id="odd", started_at=START, tags={bad: [bad]}))
    async with db.read() as session:
        row = (await session.exec(select(Campaign).where(col(Campaign.name) == "Odd"))).one()
        call = (await session.exec(select(Call).where(col(Call.id) == "odd"))).one()
        assert (await session.exec(select(Campaign).where(col(Campaign.notes) == "\x00"))).all() == []
    good = "a\ufffdb \U0001f600"
    assert (row.notes, call.tags) == (good, {good: [good]})


async def test_a_connection_that_was_cut_is_made_again(db: Database, ledger: Ledger, server: Postgres) -> None:
    await ledger.reserve("cut", 1, leg(buyer=8))
    await ledger.usage()
    async with db.write_connection() as connection:
        others = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        await connection.execute(text(f"{others} AND backend_type = 'client backend'"))
    with pytest.raises(StoreError) as caught:
        await ledger.release("cut", 1)
    assert caught.value.retry
    assert await ledger.release("cut", 1)
    assert (await ledger.usage())[leg(buyer=8)[0].key] == 0
    await db.ping()


async def test_a_connection_that_breaks_in_the_moment_of_the_question(db: Database) -> None:
    """asyncpg says so in an error of its own, which reaches us with SQLAlchemy's around it and without."""
    raw = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    for error in (raw, DBAPIError("SELECT 1", None, raw)):
        with pytest.raises(StoreError, match="does not answer"), db.translated():
            raise error
    with pytest.raises(KeyError), db.translated():  # what is not about the database stays what it is
        raise KeyError("x")


async def test_killed_in_the_middle(db: Database, ledger: Ledger, server: Postgres) -> None:
    """Nothing that was answered is lost; what could not be written is, as soon as it is back; nothing twice."""
    configuration = Configuration(db, "UTC")
    await configuration.load()
    journal = journal_of(ledger)
    names = [f"k{n}" for n in range(40)]
    for name in names[:20]:
        journal.opened(name, Inbound("ch", "+1", "+2", "", {}, False), START)
    working = [asyncio.ensure_future(ledger.reserve(name, 1, leg(buyer=9))) for name in names]
    await journal.durable()
    server.stop(signal.SIGKILL)
    answers = await asyncio.gather(*working, return_exceptions=True)
    for name in names[:20]:
        journal.update(name, status="COMPLETED")
        journal.event(name, START, "end", {})
    with pytest.raises(StoreError) as caught:
        await journal.durable()
    assert caught.value.retry
    with pytest.raises(StoreError, match="cannot be reached"):
        await db.ping()
    await configuration.fresh()  # a call begins with what is known
    server.start()
    await journal.durable()
    assert [answer for answer in answers if not isinstance(answer, (Reserved, StoreError))] == []
    for name in names:
        assert isinstance(await ledger.reserve(name, 1, leg(buyer=9)), Reserved)
    assert await shown(ledger, leg(buyer=9)[0]) == (0, len(names))
    async with db.read() as session:
        rows = (await session.exec(select(Call.status).where(col(Call.id).like("k%")))).all()
        seen = (await session.exec(select(CallEvent.call_id).where(col(CallEvent.call_id).like("k%")))).all()
    assert (list(rows), sorted(seen)) == (["COMPLETED"] * 20, sorted(names[:20]))
    assert await ledger.verify() == []
    assert journal.refused == 0
    await journal.close()
    configuration.close()


async def test_what_the_doctor_finds(postgres: Databases, server: Postgres) -> None:
    postgres.run("CREATE DATABASE empty")
    empty = text_of(parse_url(postgres.server.url).set(database="empty"))
    found = [await doctor.database(read_settings({}, database_url=url)) for url in (empty, server.url)]
    assert [[each.state for each in findings] for findings in found] == [["warning"], ["ok", "ok"]]


async def test_a_commit_whose_answer_was_lost_is_written_once(db: Database, ledger: Ledger) -> None:
    lost: list[Exception] = [StoreError("the connection was lost", retry=True)]

    async def commit(statements: Any) -> None:
        await ledger.submit(WriteRows(statements))
        if lost:
            raise lost.pop()

    journal = Journal(commit, "dcx-0", ZoneInfo("UTC"))
    journal.opened("once", Inbound("ch", "+1", "+2", "", {}, False), START)
    journal.event("once", START, "begin", json.loads("{}"))
    with pytest.raises(StoreError):
        await journal.durable()
    await journal.durable()
    await journal.close()
    assert journal.refused == 0
    async with db.read() as session:
        assert len((await session.exec(select(CallEvent).where(col(CallEvent.call_id) == "once"))).all()) == 1
