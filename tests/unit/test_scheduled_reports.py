"""Scheduled reports: sent once however many look, one missed run made up for, planned anew when they are changed."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from report_kit import NOW, ZONE, Made, configure, ms
from sqlalchemy import update
from sqlmodel import col, select
from typer.testing import CliRunner

from dcx_ari.services import rows
from dcx_ari.services.errors import Refused
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.scheduled_reports import LOOK_MS, run_due
from dcx_ari.store.db import open_database
from dcx_ari.store.ledger import open_ledger
from dcx_ari.store.models.outbox import OutboxRow
from dcx_ari.store.models.scheduled_reports import ScheduledReport
from dcx_cli.main import app as root

pytestmark = pytest.mark.unit
KIND = RESOURCES["scheduled-reports"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(configure(path))
    return path


@pytest.fixture
async def made(tmp_path: Path, template: Path) -> AsyncIterator[Made]:
    shutil.copy(template, tmp_path / "dcx.db")
    url = f"sqlite:///{tmp_path}/dcx.db"
    database, ledger = open_database(url), open_ledger(url)
    yield Made(database, ledger)
    await ledger.close()
    await database.close()


async def add(made: Made, at: str = "2026-03-10T07:00", **values: Any) -> int:
    """A daily report for 08:00, made at a time of the test."""
    async with made.database.write() as session:
        given = {"name": "Daily", "recipients": ["ann@example.com"], **values}
        row = await rows.create(session, KIND, given)
        written = {"created_at": ms(at), "updated_at": ms(at)}
        await session.exec(update(ScheduledReport).where(col(ScheduledReport.id) == row["id"]).values(written))
    return int(row["id"])


async def look(made: Made, at: str) -> int:
    return await run_due(made.database, ZONE, ms(at))


async def mails(made: Made) -> list[dict[str, Any]]:
    async with made.database.read() as session:
        found = (await session.exec(select(OutboxRow).order_by(col(OutboxRow.seq)))).all()
    return [json.loads(row.payload) for row in found]


async def row_of(made: Made, row_id: int) -> ScheduledReport:
    async with made.database.read() as session:
        row = await session.get(ScheduledReport, row_id)
    assert row is not None
    return row


async def test_yesterday_s_calls_at_eight(made: Made):
    await made.call("2026-03-09T12:00", price=1500)
    await made.call("2026-03-10T07:30", price=999)
    row_id = await add(made)
    assert await look(made, "2026-03-10T07:59") == ms("2026-03-10T07:59") + LOOK_MS
    assert await mails(made) == []
    assert await look(made, "2026-03-10T08:00") == ms("2026-03-10T08:00") + LOOK_MS
    (mail,) = await mails(made)
    assert (mail["to"], mail["subject"]) == (["ann@example.com"], "Daily: 2026-03-09")
    (attached,) = mail["attachments"]
    assert (attached["name"], attached["type"]) == ("calls-by-buyer-2026-03-09-2026-03-09.csv", "text/csv")
    lines = base64.b64decode(attached["data"]).decode().splitlines()
    assert lines[1].startswith("Acme,1,1,1,")
    assert ",1500," in lines[2]
    assert "Acme" in mail["text"]
    assert "15.00" in mail["text"]
    row = await row_of(made, row_id)
    assert (row.next_run_at, row.last_run_at) == (ms("2026-03-11T08:00"), ms("2026-03-10T08:00"))


async def test_it_is_looked_at_again_when_it_is_due(made: Made):
    await add(made)
    soon = ms("2026-03-10T08:00") - 10_000
    assert await run_due(made.database, ZONE, soon) == ms("2026-03-10T08:00")


async def test_many_look_at_once_and_one_sends(made: Made, tmp_path: Path):
    await add(made)
    others = [open_database(f"sqlite:///{tmp_path}/dcx.db") for _ in range(4)]
    try:
        await asyncio.gather(*(run_due(each, ZONE, NOW) for each in others))
        await asyncio.gather(*(run_due(each, ZONE, NOW) for each in others))
    finally:
        for each in others:
            await each.close()
    assert len(await mails(made)) == 1


async def test_after_days_away_the_latest_is_made_up_for(made: Made):
    await made.call("2026-03-13T12:00", price=1500)
    row_id = await add(made)
    await look(made, "2026-03-14T10:00")
    (mail,) = await mails(made)
    assert mail["subject"] == "Daily: 2026-03-13"
    assert (await row_of(made, row_id)).next_run_at == ms("2026-03-15T08:00")
    await look(made, "2026-03-14T23:00")
    assert len(await mails(made)) == 1


@pytest.mark.parametrize(
    ("values", "at", "days"),
    [
        ({"frequency": "weekly", "weekday": "wed"}, "2026-03-11T08:00", "2026-03-02 to 2026-03-08"),
        ({"frequency": "monthly", "month_day": 31}, "2026-03-31T08:00", "2026-02-01 to 2026-02-28"),
        ({"date_range": "this_month"}, "2026-03-10T08:00", "2026-03-01 to 2026-03-10"),
        ({"timezone": "Asia/Tokyo", "time_of_day": "09:00"}, "2026-03-10T20:00", "2026-03-09"),
    ],
)
async def test_each_plan(made: Made, values: dict[str, Any], at: str, days: str):
    await add(made, **values)
    await run_due(made.database, ZONE, ms(at) - 1000)
    assert await mails(made) == []
    await run_due(made.database, ZONE, ms(at))
    (mail,) = await mails(made)
    assert mail["subject"] == f"Daily: {days}"


async def test_filters_groups_and_workbook(made: Made):
    await made.call("2026-03-09T12:00")
    await made.call("2026-03-09T12:00", source=2)
    await add(made, filter_config={"source": ["Web"]}, group_by="source,hour", format="excel")
    await look(made, "2026-03-10T08:00")
    (mail,) = await mails(made)
    assert "Web" in mail["text"]
    assert "Radio" not in mail["text"]
    (attached,) = mail["attachments"]
    assert attached["name"].endswith(".xlsx")
    assert base64.b64decode(attached["data"]).startswith(b"PK")


async def test_another_time_is_another_plan(made: Made):
    row_id = await add(made)
    await look(made, "2026-03-10T08:00")
    async with made.database.write() as session:
        shown = await rows.change(session, KIND, row_id, {"time_of_day": "18:00"})
        at = {"updated_at": ms("2026-03-10T12:00")}
        await session.exec(update(ScheduledReport).values(at))
    assert shown["next_run_at"].endswith(":00:00.000Z")
    await look(made, "2026-03-10T17:59")
    assert len(await mails(made)) == 1
    await look(made, "2026-03-10T18:00")
    assert len(await mails(made)) == 2


async def test_paused_and_removed_ones_are_not_sent(made: Made):
    row_id, other = await add(made), await add(made, name="Other")
    async with made.database.write() as session:
        paused = await rows.set_paused(session, KIND, row_id, True)
        await rows.remove(session, KIND, other)
    assert paused["next_run_at"] is None
    await look(made, "2026-03-12T08:00")
    assert await mails(made) == []


async def test_one_that_cannot_be_made_says_why_and_goes_on(made: Made):
    row_id, _ = await add(made, filter_config={"source": ["Web"]}), await add(made, name="Other")
    async with made.database.write_connection() as connection:  # a filter that an older DCX knew
        await connection.exec_driver_sql("UPDATE scheduled_reports SET group_by = 'moon' WHERE id = ?", (row_id,))
    await look(made, "2026-03-10T08:00")
    (mail,) = await mails(made)
    assert mail["subject"].startswith("Other")
    row = await row_of(made, row_id)
    assert "moon" in (row.last_error or "")
    assert row.next_run_at == ms("2026-03-11T08:00")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"recipients": []}, "recipients"),
        ({"recipients": ["nobody"]}, "recipients"),
        ({"recipients": ["ann@example.com\nBcc: all@example.com"]}, "recipients"),
        ({"group_by": "moon"}, "group_by"),
        ({"date_range": "ever"}, "date_range"),
        ({"filter_config": {"sauce": ["Web"]}}, "sauce"),
        ({"filter_config": {"status": ["LOST"]}}, "status"),
        ({"time_of_day": "8"}, "time_of_day"),
        ({"format": "docx"}, "format"),
        ({"month_day": 32}, "month_day"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
    ],
)
async def test_what_cannot_be_planned(made: Made, values: dict[str, Any], field: str):
    with pytest.raises(Refused) as caught:
        await add(made, **values)
    assert caught.value.field.split(".")[0] == field


async def test_names_are_unique(made: Made):
    await add(made)
    with pytest.raises(Refused):
        await add(made)


def test_the_commands(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(template, tmp_path / "dcx.db")
    monkeypatch.setenv("DCX_HOME", str(tmp_path))
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(root, ["report", "schedule", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    added = ("--recipients", "ann@example.com,bob@example.com", "--frequency", "weekly", "--group-by", "buyer,day")
    run("add", "Weekly", *added)
    (shown,) = json.loads(run("list", "--json"))
    assert shown["recipients"] == ["ann@example.com", "bob@example.com"]
    assert shown["next_run_at"] is not None
    sent = json.loads(run("run", "Weekly", "--json"))
    assert sent["message_id"].startswith("msg_")
    run("rm", "Weekly")
    assert json.loads(run("list", "--json")) == []
