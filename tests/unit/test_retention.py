"""Retention rules and their run over real files: what goes, what stays, and what a crash leaves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from dcx_ari.services import call_notes, recording_deletion, retention
from dcx_ari.services.call_tags import tag_call
from dcx_ari.services.errors import Conflict, Gone, Invalid, NotFound
from dcx_ari.services.recording_deletion import delete_recording
from dcx_ari.services.recordings import recording_of, verify
from dcx_ari.services.retention_run import Report, retention_job, run
from dcx_ari.services.voicemails import find_voicemail
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import AuditEntry, Campaign, Recording
from dcx_ari.store.models.voicemails import Voicemail
from tests.unit.call_log_kit import ZONE, add, at, audio, call, configure, recording

pytestmark = pytest.mark.unit

DAY = 86_400_000
NOW = at("2026-06-01T12:00")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"

    async def make() -> None:
        database = open_database(f"sqlite:///{path}")
        await migrate(database)
        await configure(database)
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = replace(open_database(f"sqlite:///{tmp_path}/dcx.db"), info={"zone": ZONE})
    yield opened
    await opened.close()


async def recorded(db: Database, home: Path, name: str, days_ago: int, **more: Any) -> str:
    """A call of so many days ago with its file."""
    call_id = f"call0000{name}"
    ended = NOW - days_ago * DAY
    await add(db, call(call_id, ended - 60_000, ended_at=ended, **more), recording(call_id))
    audio(home, call_id)
    return call_id


async def rule(db: Database, **values: Any) -> dict[str, Any]:
    async with db.write() as session:
        return await retention.add_rule(session, values)


async def states(db: Database, home: Path) -> dict[str, str]:
    """By call: there, deleted, or whatever else the row and the disk say together."""
    async with db.read() as session:
        rows = (await session.exec(select(Recording).order_by(col(Recording.id)))).all()
    found = {}
    for row in rows:
        file = (home / str(row.path)).exists()
        confirmed = row.deleted_at is not None and row.deleting_at is not None
        found[row.call_id[-1]] = (
            "there" if file and row.deleting_at is None else "gone" if confirmed and not file else "?"
        )
    return found


async def test_what_is_over_goes_and_the_rest_stays(db: Database, tmp_path: Path):
    await rule(db, retention_days=30, exceptions={"Converted": 90, "disputed": "forever"})
    await rule(db, retention_days=5, campaign="Solar")
    await rule(db, retention_days=None, campaign="Auto")
    await recorded(db, tmp_path, "a", 31)
    await recorded(db, tmp_path, "b", 29)
    await recorded(db, tmp_path, "c", 60, converted=True)
    await recorded(db, tmp_path, "d", 91, converted=True)
    await recorded(db, tmp_path, "e", 900, outcome="disputed")
    await recorded(db, tmp_path, "f", 6, campaign_id=1)
    await recorded(db, tmp_path, "g", 900, campaign_id=2)
    await recorded(db, tmp_path, "h", 30)
    await recorded(db, tmp_path, "i", 31)
    async with db.write() as session:
        await tag_call(session, "call0000i", ["vip"])
    gone = {name: "gone" if name in "adfhi" else "there" for name in "abcdefghi"}
    report = await run(db, tmp_path, NOW)
    assert await states(db, tmp_path) == gone
    assert (report.deleted, report.bytes, report.errors) == (5, 5 * 44, [])
    again = await run(db, tmp_path, NOW)
    assert (again.deleted, again.due_count) == (0, 0)
    assert await states(db, tmp_path) == gone


async def test_a_dry_run_says_what_a_run_would_do(db: Database, tmp_path: Path):
    await rule(db, retention_days=30)
    await recorded(db, tmp_path, "a", 31)
    await recorded(db, tmp_path, "b", 1)
    report = await run(db, tmp_path, NOW, dry_run=True)
    assert await states(db, tmp_path) == {"a": "there", "b": "there"}
    assert (report.deleted, report.due_count, report.bytes) == (0, 1, 44)
    [due] = report.due
    assert (due["call_id"], due["reason"]) == ("call0000a", "rule 1: 30 days")
    assert due["kept_until"] == "2026-05-31T16:00:00.000Z"


async def test_a_legal_hold_beats_every_rule_until_it_is_released(db: Database, tmp_path: Path):
    await rule(db, retention_days=0)
    held = await recorded(db, tmp_path, "a", 900)
    async with db.write() as session:
        await call_notes.hold_call(session, held, "case 7")
        with pytest.raises(Conflict, match="already: case 7"):
            await call_notes.hold_call(session, held, "again")
    assert (await run(db, tmp_path, NOW)).held == 1
    with pytest.raises(Conflict, match="legal hold"):
        await delete_recording(db, tmp_path, f"{held}.rec1", "asked to", NOW)
    assert await states(db, tmp_path) == {"a": "there"}
    async with db.write() as session:
        await call_notes.release_call(session, held)
        with pytest.raises(NotFound):
            await call_notes.release_call(session, held)
    await run(db, tmp_path, NOW)
    assert await states(db, tmp_path) == {"a": "gone"}


async def message(db: Database, home: Path, name: str, days_ago: int, **more: Any) -> Path:
    """A voicemail of a call of so many days ago, with its file."""
    ended, call_id = NOW - days_ago * DAY, f"call0000{name}"
    path = home / f"voicemail/{call_id}.vm1.wav"
    values: dict[str, Any] = {"audio": "ready", "path": str(path.relative_to(home)), "size_bytes": 4, **more}
    await add(
        db, call(call_id, ended - 60_000, ended_at=ended), Voicemail(id=f"{call_id}.vm1", call_id=call_id, **values)
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"RIFF")
    return path


async def messages(db: Database) -> list[str]:
    async with db.read() as session:
        found = (await session.exec(select(Voicemail).order_by(col(Voicemail.id)))).all()
    return [f"{row.call_id[-1]} {row.state}" for row in found]


async def test_voicemails_go_by_the_same_rules_with_file_and_row(db: Database, tmp_path: Path):
    await rule(db, retention_days=30, exceptions={"voicemail-new": "forever", "vip": 90})
    old, heard = await message(db, tmp_path, "a", 31, state="done"), await message(db, tmp_path, "b", 29, state="done")
    new, vip = await message(db, tmp_path, "c", 900), await message(db, tmp_path, "d", 60, state="heard")
    held = await message(db, tmp_path, "e", 900, state="heard")
    async with db.write() as session:
        await tag_call(session, "call0000d", ["vip"])
        await call_notes.hold_call(session, "call0000e", "case 7")
    dry = await run(db, tmp_path, NOW, dry_run=True)
    assert [(each["voicemail_id"], each["recording_id"], each["reason"]) for each in dry.due] == [
        ("call0000a.vm1", None, "rule 1: 30 days")
    ]
    assert (dry.held, dry.bytes, old.exists()) == (1, 4, True)
    report = await run(db, tmp_path, NOW)
    assert (report.deleted, report.bytes, report.errors) == (1, 4, [])
    assert [path.exists() for path in (old, heard, new, vip, held)] == [False, True, True, True, True]
    assert await messages(db) == ["b done", "c new", "d heard", "e heard"]
    await run(db, tmp_path, NOW + 31 * DAY)
    assert await messages(db) == ["c new", "e heard"]


async def test_a_voicemail_whose_file_cannot_be_deleted_is_not_found_and_goes_with_the_next_run(
    db: Database, tmp_path: Path
):
    await rule(db, retention_days=1)
    path = await message(db, tmp_path, "a", 3)
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    assert len((await run(db, tmp_path, NOW)).errors) == 1
    async with db.read() as session:
        with pytest.raises(NotFound):
            await find_voicemail(session, "call0000a")
    assert await messages(db) == ["a new"]
    (path / "in the way").rmdir()
    path.rmdir()
    assert (await run(db, tmp_path, NOW)).deleted == 1
    assert await messages(db) == []


@pytest.mark.parametrize("crash_in", ["before the file", "after the file"])
async def test_a_crash_leaves_a_state_that_the_next_run_completes(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_in: str
):
    await rule(db, retention_days=1)
    for name in "ab":
        await recorded(db, tmp_path, name, 3)
    real, touched = recording_deletion._unlink, []

    def crash(home: Path, row: Recording) -> None:
        if crash_in == "after the file":
            real(home, row)
        touched.append(row.id)
        raise KeyboardInterrupt

    monkeypatch.setattr(recording_deletion, "_unlink", crash)
    with pytest.raises(KeyboardInterrupt):
        await run(db, tmp_path, NOW)
    monkeypatch.setattr(recording_deletion, "_unlink", real)
    assert len(touched) == 1
    async with db.read() as session:  # nobody hears what is on its way out, whatever is on the disk
        with pytest.raises(Gone, match="rule 1: 1 days"):
            await recording_of(session, "call0000a")
    await run(db, tmp_path, NOW)
    assert await states(db, tmp_path) == {"a": "gone", "b": "gone"}


async def test_a_file_that_cannot_be_deleted_is_told_and_tried_again(db: Database, tmp_path: Path):
    await rule(db, retention_days=1)
    await recorded(db, tmp_path, "a", 3)
    path = tmp_path / "recordings/call00/call0000a.rec1.wav"
    path.unlink()
    path.mkdir()  # whatever it is that cannot be unlinked
    report = await run(db, tmp_path, NOW)
    assert report.deleted == 0
    assert report.errors
    assert await retention_job(db, tmp_path, NOW) == NOW + 600_000
    path.rmdir()
    assert await retention_job(db, tmp_path, NOW) == NOW + 3_600_000
    assert await states(db, tmp_path) == {"a": "gone"}


async def test_row_hash_and_reason_stay_and_the_audit_log_knows(db: Database, tmp_path: Path):
    await recorded(db, tmp_path, "a", 3)
    shown = await delete_recording(db, tmp_path, "call0000a.rec1", "the caller asked", NOW)
    assert (shown["state"], shown["delete_reason"], shown["deleted_at"]) == (
        "deleted",
        "the caller asked",
        "2026-06-01T16:00:00.000Z",
    )
    assert (await delete_recording(db, tmp_path, "call0000a.rec1", "again", NOW + 5))[
        "delete_reason"
    ] == "the caller asked"
    async with db.read() as session:
        entries = (await session.exec(select(AuditEntry.action, AuditEntry.reason))).all()
        with pytest.raises(Gone, match=r"2026-06-01T16:00:00\.000Z: the caller asked"):
            await recording_of(session, "call0000a")
    assert [tuple(each) for each in entries] == [("recording.deleted", "the caller asked")]


async def test_a_path_that_leads_out_of_the_folder_deletes_nothing(db: Database, tmp_path: Path):
    home = tmp_path / "home"
    await recorded(db, home, "a", 3)
    precious = tmp_path / "precious.wav"
    precious.write_bytes(b"x")
    async with db.write() as session:
        row = await session.get(Recording, "call0000a.rec1")
        assert row is not None
        row.path = "recordings/../../precious.wav"
    await delete_recording(db, home, "call0000a.rec1", "hm", NOW)
    assert precious.exists()


async def test_what_is_still_being_made_is_not_deleted(db: Database, tmp_path: Path):
    await rule(db, retention_days=0)
    await add(db, call("call0000a", NOW - DAY), recording("call0000a", state="processing", path=None))
    assert (await run(db, tmp_path, NOW)).due_count == 0
    with pytest.raises(Conflict, match="processing"):
        await delete_recording(db, tmp_path, "call0000a.rec1", "now", NOW)


async def test_files_are_compared_with_their_hashes(db: Database, tmp_path: Path):
    for name in "abc":
        await recorded(db, tmp_path, name, 3)
    digest = "15df1f60ce05d2cc1a9ec6ea6acee6a0ea7e9e7bf2ed5ba3a4cf9d4ab7a5a2b2"
    async with db.write() as session:
        for name in "ab":
            row = await session.get(Recording, f"call0000{name}.rec1")
            assert row is not None
            row.sha256 = digest
    audio(tmp_path, "call0000a", b"")
    async with db.write() as session:
        row = await session.get(Recording, "call0000a.rec1")
        assert row is not None
        row.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    (tmp_path / "recordings/call00/call0000c.rec1.wav").unlink()
    found = {each.recording_id[8]: each.state for each in await verify(db, tmp_path, part=2)}
    assert found == {"a": "intact", "b": "changed", "c": "missing"}
    assert [each.state for each in await verify(db, tmp_path, "call0000c")] == ["missing"]


# -- the rules themselves ---------------------------------------------------------------------------------------


async def test_rules_are_kept_one_for_each_campaign_and_one_for_all(db: Database):
    first = await rule(db, retention_days=30, exceptions={"Quality issue": 60}, campaign="Solar")
    assert (first["campaign"], first["exceptions"], first["always_record"]) == ("Solar", {"quality-issue": 60}, True)
    await rule(db, retention_days=None)
    for values in ({"campaign": "Solar"}, {}):
        with pytest.raises(Conflict):
            await rule(db, retention_days=1, **values)
    async with db.write() as session:
        changed = await retention.change_rule(session, first["id"], {"retention_days": None, "always_record": False})
        assert (changed["retention_days"], changed["always_record"], changed["version"]) == (None, False, 2)
        campaign = await session.get(Campaign, 1)
        assert campaign is not None
        assert campaign.record is False  # one switch under two names
        await retention.remove_rule(session, first["id"])
        assert [row["campaign"] for row in await retention.list_rules(session)] == [None]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "retention_days"),
        ({"retention_days": -1}, "retention_days"),
        ({"retention_days": 40_000}, "retention_days"),
        ({"retention_days": 1, "exceptions": {"x": "always"}}, "exceptions"),
        ({"retention_days": 1, "exceptions": {" ": 3}}, "exceptions"),
        ({"retention_days": 1, "always_record": True}, "always_record"),
        ({"retention_days": 1, "days": 3}, "days"),
    ],
)
async def test_rules_that_are_refused(db: Database, values: dict[str, Any], field: str):
    with pytest.raises(Invalid) as told:
        await rule(db, **values)
    assert told.value.field.startswith(field)


def test_a_report_is_json():
    assert set(Report(dry_run=True).as_json()) == {
        *("dry_run", "looked_at", "held", "deleted", "bytes", "due_count", "due", "errors")
    }
