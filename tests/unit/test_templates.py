"""Templates: shipped ones and one's own, over the API and on the command line; what is given wins."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from typer.testing import CliRunner

from dcx_ari.api.app import make_app
from dcx_ari.services import rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.keys import create_key
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.templates import TEMPLATED, templates, with_template
from dcx_cli.main import app as cli
from tests.unit.objects_kit import make_template, open_copy

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
BUYERS = RESOURCES["buyers"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


def own(home: Path, name: str, text: str) -> None:
    (home / "templates").mkdir(exist_ok=True)
    (home / "templates" / f"{name}.yaml").write_text(text)


@pytest.fixture
async def client(tmp_path: Path, template: Path) -> AsyncIterator[Client]:
    db = open_copy(template, tmp_path)
    async with db.write() as session:
        _, key = await create_key(session, "tests", rate_limit_per_minute=0)
    made = TestClient(TestServer(make_app(db, home=tmp_path)), headers={"Authorization": f"Bearer {key}"})
    async with made:
        yield made
    await db.close()


async def test_every_shipped_template_makes_a_row(tmp_path: Path, template: Path):
    db = open_copy(template, tmp_path)
    try:
        for kind, needed in (("buyers", {"endpoint_value": "+15551230001"}), ("numbers", {})):
            shipped = templates(RESOURCES[kind], None)
            assert shipped
            for number, each in enumerate(shipped):
                key = {"name": each.title} if kind == "buyers" else {"phone_number": f"+1800555000{number}"}
                data = with_template(RESOURCES[kind], {**key, **needed, "template": each.name}, None)
                async with db.write() as session:
                    made = await rows.create(session, RESOURCES[kind], data, strict=True)
                assert {name: made[name] for name in ("ring_timeout_s", "notes")} == {
                    "ring_timeout_s": each.values.get("ring_timeout_s", 30),
                    "notes": "",
                }
    finally:
        await db.close()


async def test_what_is_given_wins(client: Client):
    listed = await (await client.get("/api/buyer-templates")).json()
    assert [each["name"] for each in listed["data"]] == ["high-volume-tier-1", "standard-medicare"]
    sent = {"name": "A", "endpoint_value": "+15551230001", "tier": -10, "template": "Standard Medicare Buyer"}
    made = await client.post("/api/buyers", json=sent)
    row = await made.json()
    assert (made.status, row["tier"], row["daily_cap"], row["conversion_rules"][0]["threshold_s"]) == (201, -10, 50, 90)
    one = await (await client.get("/api/number-templates/forwarded-line")).json()
    assert (one["kind"], one["own"], one["values"]["record"]) == ("numbers", False, False)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"template": "standrd-medicare"}, 422, "template: there is no template 'standrd-medicare' of buyers"),
        ({"template": "../../dcx"}, 422, "template: there is no template '../../dcx' of buyers"),
        ({"template": "tracked-line"}, 422, "template: there is no template 'tracked-line' of buyers"),
        ({"template": 7}, 422, "template: must be the name of a template"),
    ],
)
async def test_a_template_that_there_is_not(client: Client, body: dict[str, Any], status: int, told: str):
    sent = {"name": "A", "endpoint_value": "+15551230001", **body}
    response = await client.post("/api/buyers", json=sent)
    assert (response.status, (await response.json())["error"]["message"][: len(told)]) == (status, told)
    assert (await client.get("/api/buyer-templates/nothing")).status == 404
    assert (await client.post("/api/campaigns", json={"name": "A", "template": "x"})).status == 422


async def test_one_s_own_take_the_place_of_dcx_s(client: Client, tmp_path: Path):
    own(tmp_path, "standard-medicare", "kind: buyers\nvalues: {trunk: Here, tier: 4}\n")
    response = await client.post("/api/trunks", json={"name": "Here", "host": "a.example.com"})
    assert response.status == 201
    sent = {"name": "A", "endpoint_value": "+15551230001", "template": "standard-medicare"}
    row = await (await client.post("/api/buyers", json=sent)).json()
    assert (row["trunk"], row["tier"], row["daily_cap"]) == ("Here", 4, None)
    row = await (await client.post("/api/buyers", json={**sent, "name": "B", "trunk_id": None})).json()
    assert row["trunk"] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: buyers\nvalues: {teir: 1}\n", "template x.yaml: teir: is not a field of buyers: did you mean tier?"),
        ("kind: buyers\nvalues: {id: 1}\n", "template x.yaml: id: is set by dcx and cannot be written"),
        ("kind: trunks\nvalues: {}\n", "template x.yaml: must have a kind (buyers or numbers) and values"),
        ("- 1\n", "template x.yaml: must have kind, title, help and values, and nothing else"),
        ("kind: [\n", "template x.yaml: cannot be read: "),
        ("a: " + "x" * 70_000, "template x.yaml: must not be longer than 65536 bytes"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, told: str):
    own(tmp_path, "x", text)
    with pytest.raises(Invalid) as error:
        templates(BUYERS, tmp_path)
    assert str(error.value).startswith(told)


def test_on_the_command_line(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(template, tmp_path / "dcx.db")
    own(tmp_path, "mine", "kind: buyers\ntitle: My own\nvalues: {weight: 7}\n")

    def dcx(*args: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["--home", str(tmp_path), *args])
        return result.exit_code, result.stdout

    assert "high-volume-tier-1" in dcx("buyers", "templates", "list")[1]
    shown = json.loads(dcx("buyers", "templates", "show", "My own", "--json")[1])
    assert (shown["own"], shown["values"]) == (True, {"weight": 7})
    added = dcx("buyers", "add", "A", "--endpoint", "+15551230001", "--template", "mine", "--tier", "1", "--json")[1]
    assert (json.loads(added)["weight"], json.loads(added)["tier"]) == (7, 1)
    assert dcx("buyers", "add", "B", "--endpoint", "+15551230001", "--template", "mien")[0] == 2
    assert dcx("campaigns", "templates", "list")[0] != 0
    assert set(TEMPLATED) == {"buyers", "numbers"}
