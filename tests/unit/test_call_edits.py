"""What people add to calls, and uncompleted calls: over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from dcx_ari.services import call_notes, callbacks
from dcx_ari.services.call_tags import tag_call, tag_calls, untag_call, untag_calls
from dcx_ari.services.calls import list_calls, show_call
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.listing import Query
from dcx_ari.services.uncompleted import list_uncompleted
from dcx_ari.store.db import Database
from dcx_ari.store.models import AuditEntry, CallSessionTag, Suppression
from tests.unit.call_log_kit import BOB, NOON, add, as_kim, four_calls

pytestmark = [pytest.mark.unit, pytest.mark.databases]


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_calls(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    async with as_kim(template, tmp_path) as opened:
        yield opened


async def audited(db: Database) -> list[tuple[str, str]]:
    async with db.read() as session:
        rows = select(AuditEntry.action, AuditEntry.resource_id).order_by(col(AuditEntry.id))
        return [(row[0], row[1] or "") for row in (await session.exec(rows)).all()]


# -- tags, notes, outcomes --------------------------------------------------------------------------------------


async def test_tags_come_and_go_and_twice_is_once(db: Database):
    async with db.write() as session:
        assert [tag["name"] for tag in await tag_call(session, "call0000a", ["vip", 2])] == ["follow-up", "vip"]
        assert len(await tag_call(session, "call0000a", ["vip"])) == 2
        assert [tag["name"] for tag in await untag_call(session, "call0000a", "vip")] == ["follow-up"]
        with pytest.raises(NotFound, match="has no tag"):
            await untag_call(session, "call0000a", "vip")
        with pytest.raises(NotFound, match="vip"):
            await tag_call(session, "call0000a", ["vipp"])
        with pytest.raises(Invalid):
            await tag_call(session, "call0000a", [])
        shown = await show_call(session, "call0000a")
    assert [(tag["name"], tag["created_by"]) for tag in shown["tags"]] == [("follow-up", "kim")]
    assert await audited(db) == [("call.tagged", "call0000a"), ("call.untagged", "call0000a")]


async def test_many_calls_are_tagged_at_once(db: Database):
    async with db.write() as session:
        unsold = Query({"completed": ["false"]})
        assert await tag_calls(session, ["vip"], query=unsold) == {"matched": 3, "changed": 3}
        assert await tag_calls(session, ["vip", "follow-up"], ids=["call0000b", "call0000a"]) == {
            "matched": 2,
            "changed": 2,
        }
        page = await list_calls(session, Query({"tags_all": ["vip", "follow-up"]}))
        assert [(each["id"][-1], each["tags"]) for each in page.items] == [
            ("b", ["follow-up", "vip"]),
            ("a", ["follow-up", "vip"]),
        ]
        assert await untag_calls(session, ["vip"], query=Query({"tags": ["vip"]})) == {"matched": 4, "changed": 4}
        left = (await session.exec(select(CallSessionTag.call_session_id))).all()
    assert sorted(left) == ["call0000a", "call0000b"]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"query": Query()},
        {"ids": ["call0000a"], "query": Query({"status": ["BUSY"]})},
    ],
)
async def test_which_calls_are_meant_must_be_said(db: Database, how: dict[str, Any]):
    async with db.write() as session:
        with pytest.raises(Invalid):
            await tag_calls(session, ["vip"], **how)
        with pytest.raises(NotFound):
            await tag_calls(session, ["vip"], ids=["call0000a", "nosuchcall"])
        assert (await session.exec(select(CallSessionTag))).all() == []


async def test_notes_and_outcomes(db: Database):
    async with db.write() as session:
        await call_notes.add_note(session, "call0000a", "  wants a quote ")
        assert await call_notes.set_outcome(session, "call0000a", "Follow_Up  soon") == "follow-up-soon"
        shown = await show_call(session, "call0000a")
        assert [(note["text"], note["created_by"]) for note in shown["notes"]] == [("wants a quote", "kim")]
        assert await call_notes.set_outcome(session, "call0000a", None) is None
        for words in ("", "x" * 10_001, "a\x00b"):
            with pytest.raises(Invalid):
                await call_notes.add_note(session, "call0000a", words)
        for words in ("a,b", "x" * 51, "---"):
            with pytest.raises(Invalid):
                await call_notes.set_outcome(session, "call0000a", words)
    assert [action for action, _ in await audited(db)] == ["call.noted", "call.outcome_set", "call.outcome_set"]


async def test_the_caller_is_blocked(db: Database):
    async with db.write() as session:
        row = await call_notes.block_caller(session, "call0000b", "spam")
        assert (row["phone_number"], row["list_type"], row["reason"], row["added_by"]) == (
            BOB,
            "blacklist",
            "spam",
            "kim",
        )
        with pytest.raises(Conflict):
            await call_notes.block_caller(session, "call0000b")
        with pytest.raises(Invalid, match="withheld"):
            await call_notes.block_caller(session, "call0000d")


# -- uncompleted ------------------------------------------------------------------------------------------------


async def test_uncompleted_calls_say_why_and_what_can_be_done(db: Database):
    await add(db, Suppression(phone_number=BOB, list_type="blacklist"))
    async with db.write() as session:
        await callbacks.retry_call(session, "call0000c", NOON)
    async with db.read() as session:
        page, groups = await list_uncompleted(session, Query())
        found = {each["id"][-1]: each for each in page.items}
        assert list(found) == ["d", "c", "b"]
        assert [(each["reason"], each["actions"]) for each in page.items] == [
            ("caller hung up", []),
            ("all maxed out", ["block"]),
            ("no buyers available", ["callback", "retry"]),
        ]
        assert (found["b"]["duration_before_failure_ms"], found["b"]["blocked"]) == (60_000, True)
        assert found["c"]["callback_id"] == 1
        assert groups == {"no buyers available": 1, "all maxed out": 1, "caller hung up": 1, "other": 0}
        page, groups = await list_uncompleted(session, Query({"status": ["BUSY"], "date": ["2026-03-02"]}))
        assert [each["id"][-1] for each in page.items] == ["b"]
        assert sum(groups.values()) == 1
