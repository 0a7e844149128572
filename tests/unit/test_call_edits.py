"""What people add to calls, callbacks and their reminders, uncompleted calls, look-ups: over a real database."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import col, select

from dcx_ari.integrations.lookup import HttpLookUp, lookup_of
from dcx_ari.services import call_notes, callbacks, lookup
from dcx_ari.services.audit import Actor
from dcx_ari.services.call_tags import tag_call, tag_calls, untag_call, untag_calls
from dcx_ari.services.callback_list import list_callbacks
from dcx_ari.services.callback_reminders import REMIND_MS, remind_job
from dcx_ari.services.calls import list_calls, show_call
from dcx_ari.services.errors import Conflict, Invalid, NotFound, UnknownKey
from dcx_ari.services.listing import Query
from dcx_ari.services.lookup import Found, look_up
from dcx_ari.services.uncompleted import list_uncompleted
from dcx_ari.settings import SettingsError
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import AuditEntry, CallSessionTag, Contact, Suppression, User, WebhookEndpoint
from dcx_ari.store.models.outbox import OutboxRow
from tests.unit.call_log_kit import ZONE, add, at, call, configure, scoped

pytestmark = pytest.mark.unit

NOON = at("2026-03-02T12:00")
HOUR = 3_600_000
ANN = "+12125550100"
BOB = "+13105550199"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"

    async def make() -> None:
        database = open_database(f"sqlite:///{path}")
        await migrate(database)
        await configure(database)
        await add(
            database,
            call("call0000a", NOON, campaign_id=1, caller_name="ANN B"),
            call("call0000b", NOON + 1, status="BUSY", failure_reason="all_no_answer", caller=BOB, traffic_source_id=2),
            call("call0000c", NOON + 2, status="FAILED", failure_reason="all_maxed_out", campaign_id=77),
            call("call0000d", NOON + 3, status="ABANDONED", failure_reason="caller_hung_up", caller="anonymous"),
        )
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    info = {"zone": ZONE, "actor": Actor("cli", "kim", "kim")}
    opened = replace(open_database(f"sqlite:///{tmp_path}/dcx.db"), info=info)
    yield opened
    await opened.close()


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


# -- callbacks --------------------------------------------------------------------------------------------------


async def test_a_call_becomes_a_callback_and_is_done(db: Database):
    async with db.write() as session:
        made = await callbacks.add_callback(session, {"call": "call0000a", "due_at": "2026-03-03T09:00"}, NOON)
        assert (made["phone_number"], made["campaign"], made["priority"]) == (ANN, "Solar", "normal")
        assert (made["due_at"], made["overdue"]) == ("2026-03-03T14:00:00.000Z", False)
        with pytest.raises(Conflict, match="open callback"):
            await callbacks.retry_call(session, "call0000a", NOON)
        key = made["id"]
        assert (await callbacks.assign_callback(session, key, "kim", NOON))["assigned_to"] == "kim"
        assert (await callbacks.begin_callback(session, key, NOON))["status"] == "in-progress"
        done = await callbacks.complete_callback(session, key, "sold", NOON + 5, "nice chat")
        assert (done["status"], done["outcome"], done["notes"]) == ("completed", "sold", "nice chat")
        assert done["completed_at"] == "2026-03-02T17:00:00.005Z"
        for change in (callbacks.cancel_callback, callbacks.begin_callback):
            with pytest.raises(Conflict, match="completed already"):
                await change(session, key, NOON)
        assert (await show_call(session, "call0000a"))["callbacks"][0]["id"] == key
    actions = [action for action, _ in await audited(db)]
    assert actions == [f"callback.{verb}" for verb in ("created", "updated", "begun", "completed")]


async def test_a_retry_is_an_urgent_callback_that_is_due_now(db: Database):
    async with db.write() as session:
        made = await callbacks.retry_call(session, "call0000c", NOON)
        assert (made["retry"], made["priority"], made["campaign_id"]) == (True, "urgent", None)  # its campaign is gone
        with pytest.raises(Invalid, match="withheld"):
            await callbacks.retry_call(session, "call0000d", NOON)


async def test_callbacks_are_listed_by_when_they_are_due(db: Database):
    async with db.write() as session:
        for n, (hours, values) in enumerate(
            [(2, {"priority": "high"}), (-1, {"assigned_to": "kim"}), (-2, {"campaign": "Auto"}), (5, {})]
        ):
            due = {"phone_number": f"+1212555010{n}", "due_at": NOON + hours * HOUR, **values}
            await callbacks.add_callback(session, due, NOON)
        await callbacks.cancel_callback(session, 3, NOON)

        async def ids(filters: dict[str, str], **query: Any) -> list[int]:
            wanted = Query({name: text.split(",") for name, text in filters.items()}, **query)
            return [each["id"] for each in (await list_callbacks(session, wanted, NOON)).items]

        assert await ids({}) == [3, 2, 1, 4]
        assert await ids({"status": "pending", "overdue": "true"}) == [2]
        assert await ids({"overdue": "false"}) == [3, 1, 4]
        assert await ids({"assigned_to": "kim,none", "status": "pending"}) == [2, 1, 4]
        assert await ids({"campaign": "Auto"}) == [3]
        assert await ids({"priority": "high"}) == [1]
        assert await ids({"phone_number": "+12125550103"}) == [4]
        assert await ids({"due_from": "2026-03-02T12:00", "due_to": "2026-03-02"}) == [1, 4]
        first = await list_callbacks(session, Query(limit=3), NOON)
        assert first.total == 4
        assert await ids({}, limit=3, cursor=first.next_cursor) == [4]
        for filters, error in (({"due": "x"}, UnknownKey), ({"status": "open"}, Invalid), ({"overdue": "x"}, Invalid)):
            with pytest.raises(error):
                await ids(filters)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"phone_number": ANN}, "due_at"),
        ({"phone_number": "12", "due_at": "2026-03-03"}, "phone_number"),
        ({"due_at": "2026-03-03"}, "phone_number"),
        ({"phone_number": ANN, "due_at": "soon"}, "due_at"),
        ({"phone_number": ANN, "due_at": "2026-03-03", "priority": "asap"}, "priority"),
        ({"phone_number": ANN, "due_at": "2026-03-03", "status": "completed"}, "status"),
    ],
)
async def test_callbacks_that_are_refused(db: Database, values: dict[str, Any], field: str):
    async with db.write() as session:
        with pytest.raises(Invalid) as told:
            await callbacks.add_callback(session, values, NOON)
    assert told.value.field == field


async def test_a_reminder_is_told_once_half_an_hour_before(db: Database):
    await add(
        db,
        WebhookEndpoint(url="https://example.com/hook", events=["callback.due"], secret="whsec_x"),
        User(name="kim", email="kim@example.com"),
    )
    async with db.write() as session:
        due = {"phone_number": ANN, "due_at": NOON, "assigned_to": "kim", "notes": "about the quote"}
        await callbacks.add_callback(session, due, NOON - HOUR)
        await callbacks.add_callback(session, {"phone_number": BOB, "due_at": NOON, "assigned_to": "?@?"}, NOON)
        await callbacks.cancel_callback(session, 2, NOON)

    async def told() -> list[tuple[str, str]]:
        async with db.read() as session:
            rows = (await session.exec(select(OutboxRow).order_by(col(OutboxRow.kind)))).all()
        return [(row.kind, row.payload) for row in rows]

    await remind_job(db, NOON - REMIND_MS - 1)
    assert await told() == []
    assert await remind_job(db, NOON - REMIND_MS) == NOON - REMIND_MS + 30_000
    await remind_job(db, NOON - REMIND_MS)
    await remind_job(db, NOON + HOUR)
    kinds = await told()
    assert [kind for kind, _ in kinds] == ["email", "webhook"]
    assert json.loads(kinds[0][1])["to"] == ["kim@example.com"]
    data = json.loads(kinds[1][1])["data"]
    assert (data["phone_number"], data["due_at"], data["id"]) == (ANN, "2026-03-02T17:00:00.000Z", 1)
    async with db.write() as session:
        await callbacks.change_callback(session, 1, {"due_at": "2026-03-02T18:00"}, NOON)
    await remind_job(db, NOON + 6 * HOUR)
    assert len(await told()) == 4  # another time is told of anew


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


# -- look-ups ---------------------------------------------------------------------------------------------------


async def test_what_is_not_known_is_null(db: Database):
    assert await look_up(db, "+14155550000", None, NOON) == {
        "phone": "+14155550000",
        "name": None,
        "call_history_count": 0,
        "last_call": None,
        "carrier": None,
        "is_mobile": None,
        "is_blocked": False,
    }
    for text in ("", "12", "anonymous", "+1212555010O"):
        with pytest.raises(Invalid, match="phone"):
            await look_up(db, text, None, NOON)


async def test_our_own_books_come_first(db: Database):
    await add(db, call("call0000t", NOON + HOUR, test=True), Suppression(phone_number=ANN, list_type="blacklist"))
    found = await look_up(db, "12125550100", None, NOON)
    assert (found["name"], found["call_history_count"], found["is_blocked"]) == ("ANN B", 2, True)
    assert found["last_call"] == "2026-03-02T17:00:00.002Z"
    await add(db, Contact(phone_number=ANN, first_name="Ann", last_name="Bee"))
    await add(db, Suppression(phone_number=ANN, list_type="whitelist"))
    found = await look_up(db, ANN, None, NOON)
    assert (found["name"], found["is_blocked"]) == ("Ann Bee", False)


async def test_whoever_is_tied_to_a_source_learns_of_his_own_calls_only(db: Database):
    async def ask(_phone: str) -> Found:
        return Found("Carrier", True, "Bob")

    await look_up(db, BOB, ask, NOON)
    found = await look_up(scoped(db, source_id=1), BOB, ask, NOON)
    assert (found["call_history_count"], found["carrier"], found["is_blocked"]) == (0, None, None)
    assert (await look_up(scoped(db, source_id=2), BOB, ask, NOON))["call_history_count"] == 1


async def test_a_service_is_asked_once_and_believed_for_a_while(db: Database):
    asked = []

    async def ask(phone: str) -> Found:
        asked.append(phone)
        return Found("Example Wireless", True, "B. Example")

    for when in (NOON, NOON + lookup.KEEP_MS - 1, NOON + lookup.KEEP_MS):
        found = await look_up(db, BOB, ask, when)
        assert (found["carrier"], found["is_mobile"], found["name"]) == ("Example Wireless", True, "B. Example")
    assert asked == [BOB, BOB]


async def test_a_service_that_fails_or_hangs_means_nothing_known(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def broken(phone: str) -> Found:
        raise RuntimeError(f"no route to {phone}")

    async def silent(_phone: str) -> Found:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(lookup, "ASK_S", 0.01)
    for ask in (broken, silent):
        found = await look_up(db, BOB, ask, NOON)
        assert (found["carrier"], found["is_mobile"]) == (None, None)
    assert BOB not in caplog.text


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"carrier": "X", "is_mobile": false, "name": "Y"}', Found("X", False, "Y")),
        ('{"carrier": "X", "line_type": "mobile"}', Found("X", True, None)),
        ('{"line_type": "satellite", "carrier": 7, "name": " \\u0007 "}', Found()),
        ("{}", Found()),
    ],
)
async def test_a_service_over_http(said: str, found: Found):
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text=said)

    app = web.Application()
    app.router.add_get("/v1/{phone}", serve)
    async with TestServer(app) as server:
        ask = lookup_of(str(server.make_url("/v1/")) + "{phone}?x=1", "k3y")
        assert ask is not None
        assert await ask(BOB) == found
    assert (seen[0].match_info["phone"], seen[0].headers["Authorization"]) == (BOB, "Bearer k3y")


@pytest.mark.parametrize("said", ["[]", "no json", '{"carrier": "' + "x" * 70_000 + '"}'])
async def test_an_answer_that_is_none_is_an_error(said: str):
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text=said)

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server:
        with pytest.raises(ValueError):  # noqa: PT011 — msgspec's errors are that
            await HttpLookUp(str(server.make_url("/")) + "?n={phone}")(BOB)


def test_a_setting_that_names_nothing_is_refused():
    assert lookup_of("") is None
    for setting in ("https://example.com/", "no-such-plugin"):
        with pytest.raises(SettingsError, match="DCX_LOOKUP"):
            lookup_of(setting)
