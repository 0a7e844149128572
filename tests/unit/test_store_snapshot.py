"""The snapshot read from the database: the same by differences as from the start."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from dcx_ari.decide.snapshot import TABLES, Snapshot
from dcx_ari.services import links, rows
from dcx_ari.services.resources import RESOURCES as R
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.snapshot import load

pytestmark = [pytest.mark.unit, pytest.mark.databases]
ZONE = "America/New_York"


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    async with opened.write() as session:
        await rows.create(session, R["campaigns"], {"name": "C", "filters": [{"tag": "a", "op": "==", "value": "1"}]})
        for n in range(5):
            buyer = {"name": f"B{n}", "endpoint_value": f"+1555123000{n}", "conversion_rules": [{"threshold_s": 90}]}
            await rows.create(session, R["buyers"], buyer)
            await links.attach(session, "campaigns", "C", {"buyer": f"B{n}"})
        await rows.create(session, R["trunks"], {"name": "T", "host": "a.example", "is_default": True})
    yield opened
    await opened.close()


def contents(snapshot: Snapshot) -> dict[str, Any]:
    short = {"traffic_sources": "sources", "buyer_groups": "groups", "buyer_group_members": "members"}
    short |= {"campaign_buyers": "attachments", "suppression_lists": "suppressions"}
    return {name: getattr(snapshot, short.get(name, name)) for name in TABLES}


async def test_what_is_stored_is_what_is_decided_with(db: Database):
    snapshot = (await load(db, ZONE)).snapshot
    assert snapshot.problems == ()
    assert snapshot.version == 13
    buyer = snapshot.buyers[1]
    assert (buyer.name, buyer.endpoint_value, buyer.conversion_rules[0].threshold_s) == ("B0", "+15551230000", 90)
    assert [each.buyer_id for each in snapshot.attachments_by_campaign[1]] == [1, 2, 3, 4, 5]
    assert snapshot.campaigns[1].filters[0].tag == "a"


async def _edit(db: Database, step: str) -> None:
    async with db.write() as session:
        if step == "change":
            await rows.change(session, R["buyers"], "B1", {"tier": 7})
        elif step == "add":
            await rows.create(session, R["groups"], {"name": "G"})
        elif step == "remove":
            await rows.remove(session, R["buyers"], "B2")
        elif step == "default":
            await rows.create(session, R["trunks"], {"name": "U", "host": "b.example", "is_default": True})
        elif step == "swap":
            await rows.remove(session, R["buyers"], "B3")
            await rows.create(session, R["buyers"], {"name": "B3", "endpoint_value": "+15551230003"})
        else:  # a clock that was set back
            await session.exec(text("UPDATE buyers SET tier = 9, version = version + 1, updated_at = 5 WHERE id = 5"))
            await session.exec(text("UPDATE config_version SET version = version + 1"))


@pytest.mark.parametrize(
    "steps",
    [["change"], ["add"], ["remove"], ["default"], ["swap"], ["clock"], ["change", "remove", "add", "clock", "swap"]],
)
async def test_by_differences_as_from_the_start(db: Database, steps: list[str]):
    before = (await load(db, ZONE)).snapshot
    for step in steps:
        await _edit(db, step)
    by_differences = (await load(db, ZONE, before)).snapshot
    from_the_start = (await load(db, ZONE)).snapshot
    assert contents(by_differences) == contents(from_the_start)
    assert contents(by_differences) != contents(before)
    assert by_differences.version == from_the_start.version


async def test_one_change_reads_one_row(db: Database):
    before = (await load(db, ZONE)).snapshot
    await _edit(db, "change")
    seen: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    await load(db, ZONE, before)
    assert [each.rpartition(" FROM ")[2] for each in seen if "conversion_rules" in each] == ["buyers WHERE id IN (2)"]
