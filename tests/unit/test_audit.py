"""The audit log: written with the change or not at all, in a chain that shows what is missing or altered."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from access_kit import migrated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dcx_ari.services import rows
from dcx_ari.services.audit import HIDDEN, START, Actor, canonical, chained, record
from dcx_ari.services.audit_log import list_entries, verify
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.listing import Query, encode_cursor
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_cli.main import app

pytestmark = pytest.mark.unit

ANN = Actor("user", "7", "ann@example.com", "192.0.2.1")


@pytest.fixture(scope="module")
def template() -> Path:
    return migrated()


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield replace(opened, info={"actor": ANN})
    await opened.close()


async def note(db: Database, *actions: str, **more: Any) -> None:
    async with db.write() as session:
        for action in actions:
            await record(session, action, action.partition(".")[0], 1, **more)


async def entries(db: Database, **filters: str) -> list[dict[str, Any]]:
    async with db.read() as session:
        found = await list_entries(session, Query({name: [value] for name, value in filters.items()}, limit=1000))
    return found.items


def forge(db: Database, statement: str, *values: Any) -> None:
    """As somebody would who has the database and knows how to get around the triggers."""
    connection = sqlite3.connect(db.where)
    connection.execute("DROP TRIGGER IF EXISTS audit_entries_no_update")
    connection.execute("DROP TRIGGER IF EXISTS audit_entries_no_delete")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


async def test_who_what_before_after_when_from_where(db: Database):
    async with db.write() as session:
        await rows.create(session, RESOURCES["campaigns"], {"name": "C"})
        await rows.change(session, RESOURCES["campaigns"], "C", {"vertical": "MEDICARE"})
        await rows.set_paused(session, RESOURCES["campaigns"], "C", True)
        await rows.change(session, RESOURCES["campaigns"], "C", {"vertical": "MEDICARE"})  # changes nothing
        await rows.remove(session, RESOURCES["campaigns"], "C")
    deleted, paused, updated, created = await entries(db)
    assert [each["action"] for each in (created, updated, paused, deleted)] == [
        "campaign.created",
        "campaign.updated",
        "campaign.paused",
        "campaign.deleted",
    ]
    assert updated["changes"] == {"before": {"vertical": ""}, "after": {"vertical": "MEDICARE"}}
    assert paused["changes"] == {"before": {"status": "ACTIVE"}, "after": {"status": "INACTIVE"}}
    assert created["changes"]["before"] is None
    assert created["changes"]["after"]["name"] == "C"
    assert deleted["changes"]["before"]["name"] == "C"
    assert (created["user_id"], created["ip_address"], created["resource_type"]) == (7, "192.0.2.1", "campaign")
    assert created["resource_id"] == str(created["changes"]["after"]["id"])


async def test_secrets_are_never_kept(db: Database):
    async with db.write() as session:
        trunk = {"name": "T", "host": "192.0.2.9", "username": "t", "password": "hunter2"}
        await rows.create(session, RESOURCES["trunks"], trunk)
        await rows.change(session, RESOURCES["trunks"], "T", {"password": "hunter3"})
        await record(session, "x.y", "x", 1, None, {"token": "hunter4", "has_password": True, "long": "z" * 9_000})
    newest, changed, _ = await entries(db)
    assert changed["changes"]["after"] == {"password": HIDDEN}
    assert newest["changes"]["after"]["token"] == HIDDEN
    assert newest["changes"]["after"]["has_password"] is True
    assert newest["changes"]["after"]["long"]["characters"] == 9_002
    connection = sqlite3.connect(db.where)
    kept = json.dumps(connection.execute("SELECT * FROM audit_entries").fetchall())
    connection.close()
    assert "hunter" not in kept


async def test_what_is_rolled_back_was_never_done(db: Database):
    async def fails() -> None:
        async with db.write() as session:
            await record(session, "a.lost", "a", 1)
            raise KeyError

    with pytest.raises(KeyError):
        await fails()
    async with db.write() as session:
        await record(session, "a.kept", "a", 1)
        for broken in (True, False):
            try:
                async with session.begin_nested():
                    await record(session, f"b.{'lost' if broken else 'kept'}", "b", 1)
                    async with session.begin_nested():
                        await record(session, f"c.{'lost' if broken else 'kept'}", "c", 1)
                    if broken:
                        raise KeyError
            except KeyError:
                pass
    assert [each["action"] for each in await entries(db)] == ["c.kept", "b.kept", "a.kept"]
    assert (await verify(db)).broken_at is None


async def test_without_an_actor_it_was_dcx_itself(db: Database):
    await note(replace(db, info={}), "a.b")
    assert (await entries(db))[0]["actor"] == {"kind": "system", "id": None, "name": "dcx"}


async def test_many_writers_make_one_chain(db: Database):
    await asyncio.gather(*(note(db, f"a.n{chr(97 + n)}", "b.x") for n in range(20)))
    verdict = await verify(db)
    assert (verdict.entries, verdict.broken_at) == (40, None)
    seen = [each["action"] for each in reversed(await entries(db))]
    assert seen[1::2] == ["b.x"] * 20  # each transaction's entries are side by side


async def test_entries_can_neither_be_changed_nor_removed(db: Database):
    await note(db, "a.b")
    connection = sqlite3.connect(db.where)
    for statement in ("UPDATE audit_entries SET actor_name = 'bob'", "DELETE FROM audit_entries"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit_entries SET actor_name = 'bob' WHERE id = 3", 3, "was altered"),
        ("UPDATE audit_entries SET changes = '{}' WHERE id = 2", 2, "was altered"),
        ("UPDATE audit_entries SET at = at + 1 WHERE id = 1", 1, "was altered"),
        ("UPDATE audit_entries SET reason = 'x' WHERE id = 1", 1, "was altered"),
        ("DELETE FROM audit_entries WHERE id = 3", 3, "is missing"),
        ("DELETE FROM audit_entries WHERE id = 5", 5, "the newest entries are missing"),
        ("DELETE FROM audit_entries", 1, "the newest entries are missing"),
        ("UPDATE audit_entries SET previous = hash WHERE id = 4", 4, "does not follow the one before it"),
    ],
)
async def test_what_was_done_to_the_log_is_seen(db: Database, statement: str, broken_at: int, reason: str):
    await note(db, *("a.b",) * 5, after={"x": 1})
    assert (await verify(db)).broken_at is None
    forge(db, statement)
    verdict = await verify(db)
    assert (verdict.broken_at, verdict.reason, verdict.entries) == (broken_at, reason, broken_at - 1)


async def test_a_chain_written_anew_lacks_the_hash_that_was_noted(db: Database):
    await note(db, "a.b", "a.c")
    noted = (await verify(db)).head
    await note(db, "a.d")
    assert (await verify(db, noted)).seen
    entry = {"action": "a.z", "resource_type": "a", "resource_id": None, "actor_kind": "cli", "actor_name": "x"}
    row = {"id": 1, "at": 1, **entry, "actor_id": None, "address": None, "reason": None, "changes": "{}"}
    forge(db, "DELETE FROM audit_entries WHERE id > 1")
    forge(db, "UPDATE audit_entries SET action='a.z', resource_id=NULL, actor_kind='cli', actor_name='x', at=1")
    forge(db, "UPDATE audit_entries SET actor_id=NULL, address=NULL, changes='{}', hash=?", chained(START, row))
    forge(db, "UPDATE audit_head SET seq = 1, hash = ?", chained(START, row))
    verdict = await verify(db, noted)
    assert (verdict.broken_at, verdict.seen) == (None, False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CHANGES = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.none() | CHANGES, st.none() | CHANGES), max_size=5))
async def test_whatever_is_changed_the_chain_holds(db: Database, changes: list[tuple[Any, Any]]):
    async with db.write() as session:
        for before, after in changes:
            await record(session, "a.b", "a", 1, before, after, reason="why")
    found = (await entries(db))[: len(changes)] if changes else []
    for (before, after), entry in zip(changes, reversed(found), strict=True):
        if before is None and after is not None and not any("token" in name for name in after):
            assert canonical(entry["changes"]["after"]) == canonical(after)
        if before is not None and before == after:
            assert entry["changes"] == {"before": {}, "after": {}}
    assert (await verify(db)).broken_at is None


async def test_filters_and_pages(db: Database):
    await note(db, "campaign.created", "campaign.paused", "buyer.created")
    await note(replace(db, info={"actor": Actor("key", "7", "web", "192.0.2.2")}), "campaign.created")

    async def ids(**filters: str) -> list[int]:
        return [each["id"] for each in await entries(db, **filters)]

    assert await ids(action="campaign.created") == [4, 1]
    assert await ids(action="campaign.*") == [4, 2, 1]
    assert await ids(user_id="7") == [3, 2, 1]
    assert await ids(key_id="7") == await ids(actor="key:web") == await ids(ip_address="192.0.2.2") == [4]
    assert await ids(user_id="7", action="campaign.created") == [1]
    assert await ids(resource="buyer:1") == await ids(resource_type="buyer") == [3]
    assert await ids(**{"from": "2001-01-01", "to": "2002-01-01"}) == []
    assert await ids(**{"from": "2001-01-01"}) == [4, 3, 2, 1]
    async with db.read() as session:
        first = await list_entries(session, Query(limit=3))
        second = await list_entries(session, Query(limit=3, cursor=first.next_cursor))
        assert ([each["id"] for each in first.items], first.total) == ([4, 3, 2], 4)
        assert ([each["id"] for each in second.items], second.next_cursor) == ([1], None)
        for wrong in ({"act": ["x"]}, {"sort": ["x"]}):
            with pytest.raises(UnknownKey):
                await list_entries(session, Query(wrong))
        for bad in ({"action": ["drop table"]}, {"from": ["yesterday"]}, {"resource_id": ["\x00"]}):
            with pytest.raises(Invalid):
                await list_entries(session, Query(bad))
        for odd in (Query(cursor="nonsense"), Query(cursor=encode_cursor(None, 2**70)), Query(limit=0)):
            with pytest.raises(Invalid):
                await list_entries(session, odd)


def test_the_command_line_leaves_its_account_and_checks_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DCX_HOME", str(tmp_path))
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)

    def dcx(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout

    assert dcx("campaigns", "add", "C")[0] == 0
    listed = json.loads(dcx("audit", "list", "--action", "campaign.created", "--json")[1])
    assert [(each["actor"]["kind"], each["resource_type"]) for each in listed] == [("cli", "campaign")]
    assert listed[0]["actor"]["name"]
    assert "campaign.created" in dcx("audit", "list")[1]
    status, told = dcx("audit", "verify")
    assert (status, "1 entries, none missing or altered" in told) == (0, True)
    connection = sqlite3.connect(tmp_path / "dcx.db")
    connection.execute("DROP TRIGGER audit_entries_no_update")
    connection.execute("UPDATE audit_entries SET actor_name = 'nobody'")
    connection.commit()
    connection.close()
    status, told = dcx("audit", "verify")
    assert (status, "Entry 1 was altered" in told) == (1, True)
    assert dcx("audit", "verify", "--contains", "0" * 64)[0] == 1
