"""`dcx calls`, `callbacks`, `recordings` and `retention` over a real database and real files."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from dcx_cli.main import app
from tests.unit.call_log_kit import add, at, audio, call, configure, recording

pytestmark = pytest.mark.unit

NOON = at("2026-03-02T12:00")
HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing


class Dcx:
    """`dcx` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *args: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["--home", str(self.home), *args])
        return result.exit_code, result.stdout, result.stderr

    def json(self, *args: str) -> Any:
        status, out, err = self(*args, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template")

    async def make() -> None:
        database = open_database(f"sqlite:///{home}/dcx.db")
        await migrate(database)
        await configure(database)
        await add(
            database,
            call("call0000a", NOON, buyer_id=1, talk_ms=90_000),
            call("call0000b", NOON + 1, status="BUSY", failure_reason="all_no_answer", caller="+13105550199"),
            recording("call0000a", sha256=HASH),
        )
        await database.close()

    asyncio.run(make())
    return home


@pytest.fixture
def dcx(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Dcx:
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG", "DCX_TIMEZONE", "DCX_LOOKUP", "DCX_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(template, tmp_path / "home")
    return Dcx(tmp_path / "home")


def test_lists_and_one_call(dcx: Dcx):
    assert [each["id"] for each in dcx.json("calls", "list", "--date", "2026-03-02")] == ["call0000b", "call0000a"]
    assert [each["id"] for each in dcx.json("calls", "list", "--status", "busy", "--time-of-day", "12-13")] == [
        "call0000b"
    ]
    assert [each["id"] for each in dcx.json("calls", "list", "--filter", "buyer=Solar buyer")] == ["call0000a"]
    status, out, err = dcx("calls", "list", "--limit", "1")
    assert (status, "call0000b" in out, "call0000a" in out) == (0, True, False)
    cursor = err.rsplit(" ", 1)[1].strip()
    assert "2 calls match" in err
    assert "call0000a" in dcx("calls", "list", "--cursor", cursor)[1]
    assert dcx("calls", "list", "--filter", "nope=1")[0] == 2
    assert dcx("calls", "list", "--search", "nobody")[2] == "No calls match.\n"
    assert "90" in dcx("calls", "show", "call0000a")[1]
    unsold = dcx.json("calls", "uncompleted")
    assert (unsold["data"][0]["reason"], unsold["groups"]["no buyers available"]) == ("no buyers available", 1)
    assert "no buyers available: 1" in dcx("calls", "uncompleted")[2]


def test_what_is_done_about_calls(dcx: Dcx):
    assert dcx("calls", "tag", "call0000a", "vip", "follow-up")[1] == "Tags: follow-up, vip\n"
    assert dcx("calls", "untag", "call0000a", "vip")[1] == "Tags: follow-up\n"
    assert dcx("calls", "bulk-tag", "--tag", "vip", "--status", "busy")[1] == "1 calls, 1 changed\n"
    assert dcx("calls", "bulk-untag", "--tag", "vip", "--ids", "call0000a,call0000b")[1] == "2 calls, 1 changed\n"
    assert dcx("calls", "bulk-tag", "--tag", "vip")[0] == 2
    assert dcx("calls", "outcome", "call0000a", "Follow up")[1] == "Outcome: follow-up\n"
    assert dcx("calls", "note", "call0000a", "nice chat")[0] == 0
    assert dcx("calls", "hold", "call0000a", "--reason", "case 7")[0] == 0
    shown = dcx("calls", "show", "call0000a")[1]
    assert all(word in shown for word in ("follow-up", "nice chat", "case 7"))
    assert dcx("calls", "release", "call0000a")[0] == 0
    assert dcx("calls", "block", "call0000b", "--reason", "spam")[0] == 0
    assert dcx.json("calls", "lookup", "+13105550199")["is_blocked"] is True
    assert dcx.json("calls", "retry", "call0000b")["retry"] is True
    assert "Error: call: call0000b has an open callback" in dcx("calls", "retry", "call0000b")[2]


def test_callbacks(dcx: Dcx):
    made = dcx.json("callbacks", "add", "+12125550100", "--due", "2026-03-03T09:00", "--to", "kim")
    assert (made["due_at"], made["assigned_to"]) == ("2026-03-03T14:00:00.000Z", "kim")
    assert dcx("callbacks", "assign", "1", "ann@example.com")[1] == "Callback 1: ann@example.com\n"
    assert dcx("callbacks", "set", "1")[0] == 2
    assert dcx.json("callbacks", "set", "1", "--due", "2026-03-03T10:00")["version"] == 3
    assert [each["overdue"] for each in dcx.json("callbacks", "list", "--overdue")] == [True]
    assert dcx("callbacks", "begin", "1")[0] == 0
    assert dcx("callbacks", "complete", "1", "--outcome", "sold")[1] == "Completed callback 1: sold\n"
    assert "completed already" in dcx("callbacks", "cancel", "1")[2]
    assert dcx("callbacks", "list", "--status", "pending")[2] == "No callbacks match.\n"


def test_recordings_and_retention(dcx: Dcx):
    file = audio(dcx.home, "call0000a", b"")
    assert dcx("recordings", "path", "call0000a")[1] == f"{file}\n"
    status, out, _ = dcx("recordings", "url", "call0000a")
    assert (status, out.startswith("http://127.0.0.1:8080/api/recordings/call0000a.rec1/audio?token=")) == (0, True)
    assert dcx("recordings", "verify")[0] == 0
    file.write_bytes(b"another")
    status, out, err = dcx("recordings", "verify")
    assert (status, "changed" in out) == (1, True)
    assert "1 recordings, 0 intact, 1 not" in err
    assert dcx("retention", "add", "0", "--except", "vip=forever", "--except", "disputed=30")[0] == 0
    assert dcx("retention", "add", "soon")[0] == 2
    assert dcx("retention", "set", "1", "--except", "vip")[0] == 2
    assert "1 would be deleted" in dcx("retention", "run", "--dry-run")[2]
    assert file.exists()
    assert "1 deleted" in dcx("retention", "run")[2]
    assert not file.exists()
    assert [each["state"] for each in dcx.json("recordings", "list", "--deleted")] == ["deleted"]
    assert "was deleted" in dcx("recordings", "path", "call0000a")[2]
    actions = [each["action"] for each in dcx.json("audit", "list", "--resource", "recording")]
    assert actions == ["recording.deleted", "recording.played"]
