"""Many rows at once: a result for each, or all or nothing; the reason is kept. By API and command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from access_kit import Client, key_of, serving
from rows_kit import add, listed, migrated, opened
from sqlmodel import col, select
from typer.testing import CliRunner

from dcx_ari.services import bulk
from dcx_ari.services.errors import Invalid
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_ari.store.models import AuditEntry
from dcx_cli.main import app

pytestmark = pytest.mark.unit
CAMPAIGNS = RESOURCES["campaigns"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        for name in "ABC":
            await add(database, "campaigns", name=name)
        await add(database, "numbers", phone_number="+15551230001", campaign="B")
        yield database


@pytest.fixture
async def client(db: Database):
    async with serving(db) as made:
        made.session.headers.update(await key_of(db, "tests"))
        yield made


async def statuses(db: Database) -> dict[str, str]:
    return {row["name"]: row["status"] for row in (await listed(db, "campaigns")).items}


async def test_every_row_has_its_result(db: Database, client: Client):
    body = {"campaign_ids": [1, "CM-2", "C", "CM-1", "Z"], "action": "pause", "reason": "holiday"}
    response = await client.post("/api/campaigns/bulk-update", json=body)
    told = await response.json()
    assert (response.status, told["succeeded"], told["failed"]) == (200, 4, 1)
    assert [(each["given"], each["id"], each["short_id"], each["ok"]) for each in told["results"]] == [
        (1, 1, "CM-1", True),
        ("CM-2", 2, "CM-2", True),
        ("C", 3, "CM-3", True),
        ("CM-1", 1, "CM-1", True),
        ("Z", None, None, False),
    ]
    assert told["results"][4]["error"]["rule"].startswith("there is no campaign 'Z'")
    assert await statuses(db) == {"A": "INACTIVE", "B": "INACTIVE", "C": "INACTIVE"}
    async with db.read() as session:
        paused = select(AuditEntry).where(col(AuditEntry.action) == "campaign.paused").order_by(col(AuditEntry.id))
        entries = (await session.exec(paused)).all()
    assert [(each.resource_id, each.reason, each.actor_name) for each in entries] == [
        (str(number), "holiday", "tests") for number in (1, 2, 3)
    ]


async def test_what_other_rows_need_stays(db: Database, client: Client):
    body = {"campaign_ids": ["A", "B"], "action": "delete"}
    told = await (await client.post("/api/campaigns/bulk-update", json=body)).json()
    assert [each["ok"] for each in told["results"]] == [True, False]
    assert "still used by 1 of numbers" in told["results"][1]["error"]["rule"]
    assert list(await statuses(db)) == ["B", "C"]


async def test_all_or_nothing(db: Database, client: Client):
    body = {"campaign_ids": ["A", "B", "C"], "action": "delete", "atomic": True}
    response = await client.post("/api/campaigns/bulk-update", json=body)
    told = await response.json()
    assert (response.status, told["error"]["field"]) == (409, "atomic")
    assert [each["ok"] for each in told["results"]] == [True, False, True]
    assert list(await statuses(db)) == ["A", "B", "C"]
    async with db.read() as session:
        gone = select(AuditEntry).where(col(AuditEntry.action) == "campaign.deleted")
        assert (await session.exec(gone)).all() == []


async def test_every_kind_names_its_ids(db: Database, client: Client):
    found = {name: bulk.ids_field(resource) for name, resource in RESOURCES.items()}
    assert found["campaigns"] == "campaign_ids"
    assert (found["buyers"], found["states"]) == ("buyer_ids", "state_rule_ids")
    await add(db, "contacts", phone_number="+12125550111")
    body = {"contact_ids": ["+12125550111"], "action": "delete"}
    assert (await (await client.post("/api/contacts/bulk-update", json=body)).json())["succeeded"] == 1
    assert (await client.post("/api/contacts/bulk-update", json={**body, "action": "pause"})).status == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": "explode", "campaign_ids": [1]}, "action"),
        ({"action": ["pause"], "campaign_ids": [1]}, "action"),
        ({"action": "pause"}, "campaign_ids"),
        ({"action": "pause", "campaign_ids": []}, "campaign_ids"),
        ({"action": "pause", "campaign_ids": "A"}, "campaign_ids"),
        ({"action": "pause", "campaign_ids": [1, None]}, "campaign_ids.1"),
        ({"action": "pause", "campaign_ids": [True]}, "campaign_ids.0"),
        ({"action": "pause", "campaign_ids": [" "]}, "campaign_ids.0"),
        ({"action": "pause", "campaign_ids": [{"id": 1}]}, "campaign_ids.0"),
        ({"action": "pause", "campaign_ids": [1] * 1001}, "campaign_ids"),
        ({"action": "pause", "campaign_ids": ["a\0"]}, "campaign_ids.0"),
        ({"action": "pause", "buyer_ids": [1]}, "buyer_ids"),
        ({"action": "pause", "campaign_ids": [1], "atomic": "yes"}, "atomic"),
        ({"action": "pause", "campaign_ids": [1], "reason": 7}, "reason"),
        ({"action": "pause", "campaign_ids": [1], "reason": "x" * 1001}, "reason"),
    ],
)
def test_orders_that_make_no_sense(body: dict[str, Any], field: str):
    with pytest.raises(Invalid) as caught:
        bulk.read_order(CAMPAIGNS, body)
    assert caught.value.field == field


class Dcx:
    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *args: str, stdin: str | None = None) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["--home", str(self.home), *args], input=stdin)
        return result.exit_code, result.stdout, result.stderr

    def statuses(self) -> dict[str, str]:
        return {row["name"]: row["status"] for row in json.loads(self("campaigns", "list", "--json")[1])}


@pytest.fixture
def dcx(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Dcx:
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dcx.db").write_bytes(template.read_bytes())
    made = Dcx(tmp_path)
    for name in "ABC":
        made("campaigns", "add", name)
    return made


def test_the_command_line_names_rows_or_reads_them(dcx: Dcx):
    status, out, err = dcx("campaigns", "bulk", "pause", "A", "-", "--reason", "tired", stdin="CM-2\n\nZ\n")
    assert (status, "2 changed, 1 refused" in err, "there is no campaign 'Z'" in out) == (1, True, True)
    assert dcx.statuses() == {"A": "INACTIVE", "B": "INACTIVE", "C": "ACTIVE"}


def test_the_command_line_takes_what_matches(dcx: Dcx):
    dcx("campaigns", "pause", "B")
    status, out, _ = dcx("campaigns", "bulk", "activate", "--where", "status=INACTIVE", "--dry-run", "--json")
    assert (status, [each["given"] for each in json.loads(out)["results"]]) == (0, ["2"])
    assert dcx.statuses()["B"] == "INACTIVE"
    assert dcx("campaigns", "bulk", "activate", "--where", "status=INACTIVE")[0] == 0
    assert dcx.statuses()["B"] == "ACTIVE"
    assert dcx("campaigns", "bulk", "activate", "--where", "status=INACTIVE") == (0, "", "No campaigns match.\n")


def test_the_command_line_knows_all_or_nothing(dcx: Dcx):
    status, _, err = dcx("campaigns", "bulk", "delete", "A", "Z", "--atomic")
    assert (status, err) == (1, "Nothing was changed: 1 of 2 were refused.\n")
    assert list(dcx.statuses()) == ["A", "B", "C"]
    for wrong in (("pause",), ("pause", "A", "--where", "status=ACTIVE"), ("burn", "A"), ("pause", "--where", "x=1")):
        assert dcx("campaigns", "bulk", *wrong)[0] == 2
