"""Trying a number: what is asked, the Decision without a call, and the way to a real one."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from decided import CALLER, NOON, NUMBER, fill
from typer.testing import CliRunner

from dcx_ari.api import test_calls as api
from dcx_ari.api.app import make_app
from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.events import StasisStart
from dcx_ari.call.inbound import parse_inbound
from dcx_ari.decide.caps import Hold
from dcx_ari.decide.decision import Decision
from dcx_ari.decide.replay import rerun
from dcx_ari.remote import Remote
from dcx_ari.services import rows
from dcx_ari.services import test_call as service
from dcx_ari.services.errors import Invalid, NotFound, Refused
from dcx_ari.services.keys import create_key, list_keys
from dcx_ari.services.own_key import own_key
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.test_call import Answered, NotPlaced, Question, Trial
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger import Ledger, open_ledger
from dcx_ari.store.models import Call, Leg
from dcx_cli.main import app

pytestmark = pytest.mark.unit
ZONE = "America/New_York"
MONDAY_10 = 1_795_446_000_000  # 2026-11-23 10:00 in New York
MINUTE = 60_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, db: Database) -> AsyncIterator[Ledger]:
    ledger = open_ledger(f"sqlite:///{tmp_path}/dcx.db", worker="tests")
    yield ledger
    await ledger.close()


async def decide(db: Database, ledger: Ledger, caller: str = CALLER, at: int | None = NOON, **more: Any) -> Decision:
    return (await service.decide(db, ledger, ZONE, NOON, Question(NUMBER, caller, at, **more), seed=7)).decision


def ranked(decision: Decision) -> set[int]:
    return {entry.id for entry in decision.ranked}


def why_not(decision: Decision) -> dict[int, str]:
    return {entry.id: entry.reason for entry in decision.rejected}


# -- what is asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T10:00:00-05:00", MONDAY_10),
        ("2026-11-23T15:00:00Z", MONDAY_10),
        ("2026-11-23 10:00 America/New_York", MONDAY_10),
        ("2026-11-23 07:00 America/Los_Angeles", MONDAY_10),
        ("2026-11-23 15:00 UTC", MONDAY_10),
        ("2026-11-23T10:00", MONDAY_10),
        ("2026-11-23 10:00", MONDAY_10),
    ],
)
def test_a_moment(text: str, at: int) -> None:
    assert service.moment_of(text, ZONE) == at


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "2026-13-01 10:00",
        "2026-11-23 10:00 Mars/Base",
        "2026-11-23T10:00:00-05:00 x UTC",
        "",
        "1",
        "a b c d",
    ],
)
def test_no_moment(text: str) -> None:
    with pytest.raises(Invalid, match="at: "):
        service.moment_of(text, ZONE)


def test_callers() -> None:
    assert service.caller_of("(212) 555-0123") == CALLER
    assert service.caller_of("Anonymous") == service.caller_of("") == ""
    with pytest.raises(Invalid):
        service.caller_of("bob")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"form": "+12125550123"}, "form"),
        ({"from": 5}, "from"),
        ({"from": "bob"}, "from"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"seconds": True}, "seconds"),
        ({"seconds": 601}, "seconds"),
        ({"digits": "1;rm"}, "digits"),
        ({"at": "2026-11-23 10:00"}, "at"),
        ({"tags": {}}, "tags"),
        ({"dry_run": True, "digits": "1"}, "digits"),
        ({"dry_run": True, "tags": []}, "tags"),
        ({"dry_run": True, "at": "now"}, "at"),
        ({"dry_run": True, "campaign": False}, "campaign"),
    ],
)
def test_a_bad_body(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        service.read_body(NUMBER, body, ZONE)
    assert caught.value.field == field


def test_a_good_body() -> None:
    asked = service.read_body(NUMBER, {"from": CALLER, "digits": "w1", "seconds": 5}, ZONE)
    assert asked == Trial(NUMBER, CALLER, "w1", 5)
    asked = service.read_body(NUMBER, {"dry_run": True, "at": "2026-11-23 10:00", "tags": {"zip": "1"}}, ZONE)
    assert asked == Question(NUMBER, "", MONDAY_10, {"zip": "1"})


# -- the mark -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "test"),
    [({"test": "1"}, True), ({"x-test": "1"}, False), ({"x-dcx-test": "1"}, False), ({"div": "1&test=1"}, False)],
)
def test_only_the_dialplan_marks_a_call(fields: dict[str, str], test: bool) -> None:
    """What a caller sends comes under other names (see extensions.conf), and encoded."""
    channel = {"id": "1.1", "name": "x", "state": "Ring", "protocol_id": "", "caller": {"name": "", "number": CALLER}}
    channel |= {"connected": {"name": "", "number": ""}, "accountcode": "", "language": "en"}
    dialplan = {"context": "from-trunk", "exten": "s", "priority": 1, "app_name": "", "app_data": ""}
    at = "2026-11-20T10:00:00.000+0000"
    event = {"type": "StasisStart", "application": "dcx-0", "timestamp": at}
    args = ["in", urlencode({"to": NUMBER, **fields})]
    raw = {**event, "args": args, "channel": {**channel, "dialplan": dialplan, "creationtime": at}}
    decoded = decode_event(msgspec.json.encode(raw))
    assert isinstance(decoded, StasisStart)
    inbound = parse_inbound(decoded)
    assert inbound is not None
    assert inbound.test is test
    assert "test" not in inbound.headers


# -- deciding without a call --------------------------------------------------------------------------------


async def test_the_hour_and_the_tags_decide(db: Database, ledger: Ledger) -> None:
    now = await decide(db, ledger)
    assert ranked(now) == {1, 2, 3}
    assert why_not(now) == {4: "cap.daily", 5: "closed", 6: "filter", 7: "paused"}
    later = await decide(db, ledger, at=MONDAY_10, tags={"zip": "90210"})
    assert ranked(later) == {1, 2, 3, 5, 6}
    assert (later.state, later.geo_source, later.now) == ("CA", "ivr_zip", MONDAY_10)
    anonymous = await decide(db, ledger, "")
    assert anonymous.state is None


async def test_it_can_be_decided_again_from_what_is_printed(db: Database, ledger: Ledger) -> None:
    decision = await decide(db, ledger)
    assert rerun(service.stored(decision)) == decision


async def test_usage_and_history_are_those_of_the_moment(db: Database, ledger: Ledger) -> None:
    async with db.write() as session:
        await rows.change(session, RESOURCES["buyers"], "Acme", {"daily_cap": 1})
        rule = {"scope": "buyer", "after": "attempted", "action": "skip_buyer"}
        await rows.change(session, RESOURCES["buyers"], "Best", {"duplicate": rule})
        session.add(Call(id="before", dialled=NUMBER, caller=CALLER, started_at=NOON - MINUTE))
        await session.flush()
        session.add(Leg(id="before.leg1", call_id="before", buyer_id=2))
    await ledger.reserve("x", 1, [Hold("buyer", 1, "connect", "day", "2026-11-20", 1, 1)])
    now = await decide(db, ledger)
    assert (why_not(now)[1], why_not(now)[2]) == ("cap.daily", "duplicate")
    assert not {1, 2} & set(why_not(await decide(db, ledger, at=NOON - 86_400_000)))  # the day before
    assert why_not(await decide(db, ledger, at=MONDAY_10))[2] == "duplicate"
    assert 2 in ranked(await decide(db, ledger, "+12125550999"))


async def test_it_leaves_nothing_behind(db: Database, ledger: Ledger, tmp_path: Path) -> None:
    before = _dump(tmp_path)
    await decide(db, ledger)
    assert _dump(tmp_path) == before


def _dump(home: Path) -> list[str]:
    connection = sqlite3.connect(home / "dcx.db")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def test_unknown_number_and_campaign(db: Database, ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="number"):
        await service.decide(db, ledger, ZONE, NOON, Question("+15550109999", CALLER))
    with pytest.raises(NotFound, match="campaign"):
        await decide(db, ledger, campaign="Nope")
    assert (await decide(db, ledger, campaign="Solar")).campaign_id == 1


# -- over the API -------------------------------------------------------------------------------------------


async def test_over_the_api(db: Database, ledger: Ledger) -> None:
    placed: list[Trial] = []

    async def place(trial: Trial) -> str:
        if trial.seconds == 9:
            raise NotPlaced("not connected")
        placed.append(trial)
        return "thecall"

    async def answers(asked: Question) -> Answered:
        return await service.decide(db, ledger, ZONE, NOON, asked)

    made = make_app(db, more=[api.routes(place, answers, ZONE)])
    async with db.write() as session:
        _, viewer = await create_key(session, "viewer", "viewer")
    async with TestServer(made) as server, own_key(db) as key, Remote(str(server.make_url("")).rstrip("/"), key) as us:
        assert await us.post("/api/numbers/15550100000/test-call", {"from": CALLER}) == {
            "id": "thecall",
            "number": NUMBER,
        }
        assert placed == [Trial(NUMBER, CALLER)]
        path = f"/api/numbers/{NUMBER}/test-call"
        told = await us.post(path, {"dry_run": True, "from": CALLER, "at": "2026-11-20 12:00"})
        assert [row["name"] for row in told["candidates"]][2] == "Late"
        assert set(told["stored"]) == {"decision", "inputs"}
        assert (await us.ask("POST", "/api/numbers/77/test-call", {}))[0] == 404
        assert (await us.ask("POST", path, {"seconds": 9}))[0] == 503
        assert (await us.ask("POST", path, {"seconds": 0}))[0] == 422
        with pytest.raises(Refused, match="digits"):
            await us.post(path, {"digits": "x"})
        async with TestClient(server, headers={"Authorization": f"Bearer {viewer}"}) as client:
            assert (await client.post(path, json={})).status == 403
        assert len(placed) == 1
    async with db.read() as session:
        assert [row["name"] for row in await list_keys(session)] == ["viewer"]  # the passing key is gone


# -- on the command line ------------------------------------------------------------------------------------


def test_on_the_command_line(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)
    monkeypatch.delenv("DCX_API_KEY", raising=False)
    shutil.copy(template, tmp_path / "dcx.db")

    def dcx(*args: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["--home", str(tmp_path), "test-call", *args])
        return result.exit_code, result.stdout, result.stderr

    asked = (NUMBER, "--from", CALLER, "--dry-run", "--at", "2026-11-20 12:00")
    status, out, _ = dcx(*asked)
    assert status == 0
    assert "closed, opens Mon 09:00" in out
    assert "would be dialled first" in out
    status, out, _ = dcx(*asked, "--json")
    assert rerun(out) == Decision.from_json(out)
    assert json.loads(out)["inputs"]["facts"]["is_test"]
    monkeypatch.setenv("DCX_API_PORT", "1")  # where nobody listens
    for wrong, status, field in (
        (("+15550109999", "--dry-run"), 2, "number"),
        ((NUMBER, "--dry-run", "--tag", "zip"), 2, "tag"),
        ((NUMBER, "--dry-run", "--digits", "1"), 2, "digits"),
        ((NUMBER, "--at", "2026-11-20 12:00"), 2, "at"),
        ((NUMBER, "--tag", "a=b"), 2, "tag"),
        ((NUMBER,), 1, "no engine answers at http://127.0.0.1:1"),
    ):
        found, out, err = dcx(*wrong)
        assert (found, out, err.count("\n")) == (status, "", 1)
        assert err.startswith(f"Error: {field}:")
    connection = sqlite3.connect(tmp_path / "dcx.db")
    assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (0,)
    connection.close()
