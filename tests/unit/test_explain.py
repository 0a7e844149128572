"""A stored Decision told to people and machines, over a real database, the API and the command line."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from decided import CALLER, NOON, NUMBER, fill
from sqlmodel import delete
from typer.testing import CliRunner

from dcx_ari.api import explain as api
from dcx_ari.api.app import make_app
from dcx_ari.decide.decision import Decision
from dcx_ari.decide.record import Inputs
from dcx_ari.services.errors import Conflict, NotFound
from dcx_ari.services.explain import Kept, differences, explain, kept
from dcx_ari.services.keys import create_key
from dcx_ari.services.test_call import Question, decide
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger import open_ledger
from dcx_ari.store.models import Buyer, Call, CallEvent, DecisionTables, Leg
from dcx_cli.main import app

pytestmark = pytest.mark.unit
ACME, BEST, LATE = 1, 2, 3


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A call sold to Late, after Acme was busy and Best's last place went to another call; and two that failed."""
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(_fill(path))
    return path


async def _fill(path: Path) -> None:
    await fill(path)
    database = open_database(f"sqlite:///{path}")
    decision = await _decision(database, path)
    assert isinstance(decision.inputs, Inputs)
    digest, tables = decision.inputs.campaign_text() or ("", "")
    async with database.write() as session:
        session.add(DecisionTables(digest=digest, text=tables))
        row = {"dialled": NUMBER, "caller": CALLER, "started_at": NOON, "ended_at": NOON + 60_000, "stage": "ended"}
        kept_with = json.loads(decision.to_json(campaign=False))
        session.add(Call(id="soldcall0001", status="COMPLETED", buyer_id=LATE, decision=kept_with, **row))
        session.add(Call(id="lostcall0002", status="ABANDONED", failure_reason="caller_hung_up", **row))
        session.add(Call(id="failcall0003", status="FAILED", failure_reason="all_maxed_out", decision=kept_with, **row))
        await session.flush()
        session.add(_leg(ACME, 1, result="busy", cause=17, dialled_at=NOON, ended_at=NOON + 1500))
        times = {"dialled_at": NOON + 2000, "answered_at": NOON + 5000, "bridged_at": NOON + 5000}
        session.add(_leg(LATE, 2, result="answered", cause=16, ended_at=NOON + 35_000, **times))
        lost = {"buyer_id": BEST, "cap": "buyer.connect.day", "used": 4, "held": 1, "limit": 5}
        session.add(CallEvent(call_id="soldcall0001", at=NOON + 1800, seq=1, kind="reserve_lost", data=lost))
    await database.close()


async def _decision(database: Database, path: Path) -> Decision:
    ledger = open_ledger(f"sqlite:///{path}", worker="tests")
    try:
        asked = Question(NUMBER, CALLER, NOON, {"zip": "10001"})
        return (await decide(database, ledger, "America/New_York", NOON, asked, seed=7)).decision
    finally:
        await ledger.close()


def _leg(buyer_id: int, position: int, **values: Any) -> Leg:
    return Leg(id=f"soldcall0001.leg{position}", call_id="soldcall0001", buyer_id=buyer_id, position=position, **values)


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


async def told(db: Database, call: str) -> dict[str, Any]:
    async with db.read() as session:
        return explain(await kept(session, call))


async def test_candidates_in_order_and_why_not_the_others(db: Database) -> None:
    found = await told(db, "soldcall")
    order = {row["name"]: row["result"] for row in found["candidates"]}
    assert order == {
        "Acme": "busy",
        "Best": "reserve lost",
        "Late": "answered, talked 30.0 s",
    }
    assert {row["name"]: row["text"] for row in found["rejected"]} == {
        "Full": "cap.daily 0 of 0 used, frees 2026-11-21T00:00-05:00",
        "Closed": "closed, opens Mon 09:00",
        "Picky": 'filter zip begins "9": it is "10001"',
        "Away": "is paused",
    }
    assert found["order"] == "tier, lowest first; equals drawn by weight (seed 7)"
    about = found["decision"]
    assert (about["campaign"], about["source"], about["state"], about["decided_at"]) == (
        "Solar",
        "Radio",
        "NY",
        "2026-11-20T12:00-05:00",
    )


async def test_attempts_and_who_got_it(db: Database) -> None:
    found = await told(db, "soldcall0001")
    attempts = [(a["buyer"], a["result"], a["ring_s"], a["talk_s"]) for a in found["attempts"]]
    assert attempts == [
        ("Acme", "busy", 1.5, None),
        ("Best", "reserve_lost", None, None),
        ("Late", "answered", 3.0, 30.0),
    ]
    assert found["outcome"].startswith("Late got the call: candidate 3 of 3, alone with tier 1, after ")
    assert "Acme (busy)" in found["outcome"]
    assert "Best (reserve lost)" in found["outcome"]


async def test_names_are_those_of_the_day(db: Database) -> None:
    """A buyer renamed since is told by the name that the Decision was made with."""
    async with db.write() as session:
        (await session.get_one(Buyer, ACME)).name = "Renamed"
    assert "Acme" in {row["name"] for row in (await told(db, "soldcall"))["candidates"]}


async def test_nobody_got_it(db: Database) -> None:
    assert (await told(db, "failcall0003"))["outcome"] == "Nobody got the call: all maxed out (all_maxed_out)."
    lost = await told(db, "lostcall0002")
    assert (lost["outcome"], lost["decision"]) == (
        "The call never came to the buyers: caller hung up (caller_hung_up).",
        None,
    )


async def test_rerun_gives_the_same_and_notices_what_is_not(db: Database) -> None:
    async with db.read() as session:
        found = await kept(session, "soldcall0001")
        assert differences(found) == []
        decided = {**(found.stored or {})["decision"], "max_attempts": 3}
        assert differences(Kept(found.call, {**(found.stored or {}), "decision": decided})) == ["max_attempts"]
        with pytest.raises(Conflict):
            differences(await kept(session, "lostcall0002"))
        with pytest.raises(NotFound):
            await kept(session, "nosuchcall")


async def test_a_decision_without_its_tables_is_said_to_be_so(db: Database) -> None:
    async with db.write() as session:
        await session.exec(delete(DecisionTables))
    with pytest.raises(Conflict, match="kept without"):
        await told(db, "soldcall0001")


async def test_over_the_api(db: Database) -> None:
    async with db.write() as session:
        _, key = await create_key(session, "viewer", "viewer")
    made = make_app(db, more=[api.add_routes])
    async with TestClient(TestServer(made), headers={"Authorization": f"Bearer {key}"}) as client:
        answer = await client.get("/api/calls/soldcall0001/explain")
        assert answer.status == 200
        body = await answer.json()
        assert body["outcome"].startswith("Late got the call")
        assert "postback_key" not in json.dumps(body)
        assert (await client.get("/api/calls/nosuchcall/explain")).status == 404
        assert (await client.get("/api/calls/lostcall0002/explain")).status == 200


def dcx(home: Path, *args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["--home", str(home), *args])
    return result.exit_code, result.stdout, result.stderr


def test_on_the_command_line(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)
    shutil.copy(template, tmp_path / "dcx.db")
    status, out, _ = dcx(tmp_path, "explain", "soldcall")
    assert status == 0
    for text in ("Acme", "closed, opens Mon 09:00", "another call took the last place", "Late got the call"):
        assert text in out
    status, out, _ = dcx(tmp_path, "explain", "soldcall", "--json")
    assert (status, set(json.loads(out))) == (0, {"decision", "inputs"})
    assert json.loads(out)["inputs"]["campaign"]["buyers"]
    assert dcx(tmp_path, "explain", "soldcall", "--rerun")[0] == 0
    assert dcx(tmp_path, "explain", "lostcall")[0] == 0
    for wrong in (("lostcall", "--json"), ("lostcall", "--rerun"), ("nosuch",)):
        status, out, err = dcx(tmp_path, "explain", *wrong)
        assert (status, out, err.count("\n")) == (2, "", 1)
    _tamper(tmp_path)
    status, out, _ = dcx(tmp_path, "explain", "soldcall", "--rerun")
    assert status == 1
    assert "seed" not in out
    assert "max_attempts" in out


def _tamper(home: Path) -> None:
    db = sqlite3.connect(home / "dcx.db")
    db.execute("UPDATE calls SET decision = json_set(decision, '$.decision.max_attempts', 3) WHERE id = 'soldcall0001'")
    db.commit()
    db.close()
