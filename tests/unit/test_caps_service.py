"""Caps as people see them: show, adjust and verify, through the service and the command line."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ledger_kit import ANSWERED, Clock, sql
from typer.testing import CliRunner

from dcx_ari.decide import rows as d
from dcx_ari.decide.caps import holds_for
from dcx_ari.services import caps, rows
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger import Ledger, Spacing
from dcx_ari.store.migrate import migrate
from dcx_cli.main import app as root

pytestmark = pytest.mark.unit

NOON = 1_772_992_800_000  # 2026-03-08 14:00 in New York, the day of 23 hours; 18:00 UTC
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    async with opened.write() as session:
        limits = {"daily_cap": 2, "revenue_cap_total_cents": 5000, "min_seconds_between": 5, "revenue_cents": 1500}
        for name, zone in (("Acme", None), ("Zen", TOKYO)):
            values = {"name": name, "endpoint_value": "+15551230001", "timezone": zone, **limits}
            await rows.create(session, RESOURCES["buyers"], values)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, db: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(tmp_path / "dcx.db"), clock=Clock(NOON))
    yield ledger
    await ledger.close()


async def sell(ledger: Ledger, call: str, buyer: int = 1, zone: str | None = None, *, end: bool = True) -> None:
    """One connected call to the buyer, over or still going on."""
    row = d.Buyer(buyer, revenue_cents=1500, daily_cap=2, revenue_cap_total_cents=5000, timezone=zone)
    await ledger.reserve(call, 1, holds_for(NOON, NEW_YORK, buyer=row, unlimited=True), spacing=Spacing(buyer, 5))
    await ledger.commit_connect(call, 1)
    if end:
        await ledger.settle(call, 1, ANSWERED)


async def shown(db: Database, ledger: Ledger, *keys: str, **more: Any) -> list[dict[str, Any]]:
    async with db.read() as session:
        return await caps.show(session, ledger, NEW_YORK, NOON, keys=keys, **more)


def cap(row: dict[str, Any], name: str) -> tuple[Any, ...]:
    found = next(each for each in row["caps"] if each["cap"] == name)
    return tuple(found[name] for name in ("used", "held", "limit", "remaining", "resets_at"))


async def test_shows_used_held_and_left_per_cap(db: Database, ledger: Ledger) -> None:
    await sell(ledger, "c1", end=False)
    (row,) = await shown(db, ledger, "Acme")
    assert (row["name"], row["maxed_out"], row["maxed_by"]) == ("Acme", False, [])
    assert cap(row, "cap.daily") == (1, 0, 2, 1, "2026-03-09T04:00:00.000Z")
    assert cap(row, "cap.monthly") == (1, 0, None, None, "2026-04-01T04:00:00.000Z")
    assert cap(row, "cap.revenue_total") == (0, 1500, 5000, 3500, None)
    assert cap(row, "concurrency") == (0, 1, None, None, None)
    assert row["last_attempt_at"] == "2026-03-08T18:00:00.000Z"


async def test_maxed_out_says_by_what_and_until_when(db: Database, ledger: Ledger) -> None:
    for n in (1, 2):
        await ledger.adjust(caps.CounterKey("buyer", 1, "connect", "total", "all"), n, reason="r", actor="a")
        async with db.read() as session:
            await caps.adjust(
                session, ledger, NEW_YORK, NOON, scope="buyer", key="Acme", cap="daily", by=1, reason="r", actor="a"
            )
    acme, zen = await shown(db, ledger)
    daily = {"cap": "cap.daily", "used": 2, "limit": 2, "resets_at": "2026-03-09T04:00:00.000Z"}
    assert (acme["maxed_out"], acme["maxed_by"]) == (True, [daily])
    assert (zen["maxed_out"], cap(zen, "cap.daily")) == (False, (0, 0, 2, 2, "2026-03-09T15:00:00.000Z"))


async def test_a_buyer_counts_in_his_own_zone(db: Database, ledger: Ledger) -> None:
    await sell(ledger, "c1", 2, TOKYO)
    (zen,) = await shown(db, ledger, "2")
    daily = next(each for each in zen["caps"] if each["cap"] == "cap.daily")
    assert (zen["timezone"], daily["period_key"], daily["used"]) == (TOKYO, "2026-03-09", 1)


async def test_other_scopes(db: Database, ledger: Ledger) -> None:
    async with db.write() as session:
        await rows.create(session, RESOURCES["sources"], {"name": "Radio", "daily_call_cap": 7})
        await rows.create(session, RESOURCES["campaigns"], {"name": "Roof", "vertical": "home", "hourly_cap": 3})
        await rows.create(session, RESOURCES["groups"], {"name": "North", "total_cap": 9})
    for scope, name, limit in (("source", "cap.daily", 7), ("campaign", "cap.hourly", 3), ("group", "cap.total", 9)):
        (row,) = await shown(db, ledger, scope=scope)
        assert cap(row, name)[:4] == (0, 0, limit, limit)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cap": "weekly"}, "cap"),
        ({"cap": "concurrency"}, "adjust"),
        ({"by": -1}, "adjust"),
        ({"reason": ""}, "adjust"),
        ({"to": 3}, "adjust"),
        ({"scope": "nobody"}, "scope"),
    ],
)
async def test_adjust_names_what_is_wrong(db: Database, ledger: Ledger, change: dict[str, Any], field: str) -> None:
    asked = {"scope": "buyer", "key": "Acme", "cap": "daily", "by": 1, "reason": "r", "actor": "a", **change}
    async with db.read() as session:
        with pytest.raises(Invalid) as caught:
            await caps.adjust(session, ledger, NEW_YORK, NOON, **asked)
    assert caught.value.field == field
    with pytest.raises(NotFound):
        await shown(db, ledger, "Nobody")


def dcx(tmp_path: Path, *arguments: str) -> Any:
    environment = {"DCX_DATABASE_URL": f"sqlite:///{tmp_path}/dcx.db", "DCX_HOME": str(tmp_path)}
    return CliRunner().invoke(root, ["caps", *arguments], env=environment)


async def test_the_command_line(db: Database, ledger: Ledger, tmp_path: Path) -> None:
    await sell(ledger, "c1")

    def commands() -> None:
        done = dcx(tmp_path, "adjust", "Acme", "daily", "--by", "2", "--reason", "moved")
        assert (done.exit_code, done.stdout.strip()) == (0, "Acme: cap.daily 0 -> 2")
        assert dcx(tmp_path, "adjust", "Acme", "dayly", "--by", "2", "--reason", "moved").exit_code == 2
        table = dcx(tmp_path, "show").stdout
        assert "MAXED OUT" in table
        assert "50.00" in table
        row = json.loads(dcx(tmp_path, "show", "Acme", "--json").stdout)[0]
        assert row["maxed_by"][0]["used"] == 2
        done = dcx(tmp_path, "adjust", "Acme", "daily", "--to", "0", "--reason", "wrong buyer", "--json")
        assert json.loads(done.stdout)["after"] == 0
        assert dcx(tmp_path, "verify").exit_code == 0
        sql(ledger, "UPDATE cap_counters SET used = used + 1 WHERE period = 'total' AND metric = 'connect'")
        broken = dcx(tmp_path, "verify")
        assert broken.exit_code == 1
        assert broken.stdout == "buyer/1/connect/total/all: used 2, expected 1\n"
        assert json.loads(dcx(tmp_path, "verify", "--json").stdout)[0]["rule"] == "used"

    await asyncio.to_thread(commands)
    reasons = sql(ledger, "SELECT reason, actor FROM cap_entries WHERE kind = 'adjust' ORDER BY id")
    assert [reason for reason, _ in reasons] == ["moved", "wrong buyer"]
    assert all(actor.startswith("cli:") for _, actor in reasons)
