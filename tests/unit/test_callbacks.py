"""Callbacks and their reminders, over a real database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from dcx_ari.services import callbacks
from dcx_ari.services.callback_list import list_callbacks
from dcx_ari.services.callback_reminders import REMIND_MS, remind_job
from dcx_ari.services.calls import show_call
from dcx_ari.services.errors import Conflict, Invalid, UnknownKey
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database
from dcx_ari.store.models import AuditEntry, User, WebhookEndpoint
from dcx_ari.store.models.outbox import OutboxRow
from tests.unit.call_log_kit import ANN, BOB, HOUR, NOON, add, as_kim, four_calls

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_calls(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    async with as_kim(template, tmp_path) as opened:
        yield opened


async def audited(db: Database) -> list[tuple[str, str]]:
    async with db.read() as session:
        rows = select(AuditEntry.action, AuditEntry.resource_id).order_by(col(AuditEntry.id))
        return [(row[0], row[1] or "") for row in (await session.exec(rows)).all()]


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
        assert (await callbacks.show_callback(session, 1, NOON))["reminded_at"] == "2026-03-02T16:30:00.000Z"
        await callbacks.change_callback(session, 1, {"due_at": "2026-03-02T18:00"}, NOON)
    await remind_job(db, NOON + 6 * HOUR)
    assert len(await told()) == 4  # another time is told of anew
