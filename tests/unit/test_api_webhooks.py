"""Webhooks and the outbox over HTTP and on the command line."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from outbox_kit import LOOPBACK, Outbox, receiver
from typer.testing import CliRunner

from dcx_ari.api.app import make_app
from dcx_ari.services.keys import create_key
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import WebhookEndpoint
from dcx_cli.main import app

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
URL = "http://127.0.0.1:24601/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with db.write() as session:
        _, key = await create_key(session, "tests", rate_limit_per_minute=0)
    headers = {"Authorization": f"Bearer {key}"}
    async with TestClient(TestServer(make_app(db, targets=LOOPBACK)), headers=headers) as made:
        yield made


async def post(client: Client, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post(path, json=body)
    return answer.status, await answer.json()


async def made(client: Client, **body: Any) -> dict[str, Any]:
    status, row = await post(client, "/api/webhooks", **{"url": URL, "events": ["call.completed"], **body})
    assert status == 201, row
    return row


async def test_a_webhook_from_first_to_last(client: Client, db: Database):
    row = await made(client, description="crm")
    secret = row.pop("secret")
    assert secret.startswith("whsec_")
    one = f"/api/webhooks/{row['id']}"
    assert await (await client.get(one)).json() == row
    listed = await (await client.get("/api/webhooks")).json()
    assert listed == {"data": [row], "next_cursor": None, "total": 1}
    assert secret not in json.dumps(listed)
    changed = await client.patch(one, json={"events": ["*"], "description": ""})
    shown = await changed.json()
    assert (changed.status, shown["events"], shown["version"]) == (200, ["*"], row["version"] + 1)
    assert (await post(client, f"{one}/pause"))[1]["status"] == "INACTIVE"
    assert (await post(client, f"{one}/test"))[0] == 409
    assert (await post(client, f"{one}/resume"))[1]["status"] == "ACTIVE"
    status, rotated = await post(client, f"{one}/rotate", grace_s=60)
    assert (status, rotated["secret"] != secret, rotated["old_secret_works_until"] is not None) == (200, True, True)
    assert (await client.delete(one)).status == 204
    assert (await client.get(one)).status == 404
    audit = await (await client.get("/api/audit-logs?resource_type=webhook")).json()
    assert secret not in json.dumps(audit)
    assert rotated["secret"] not in json.dumps(audit)
    assert [entry["action"] for entry in audit["data"]] == [
        f"webhook.{what}" for what in ("deleted", "rotated", "resumed", "paused", "updated", "created")
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"events": []}, "events"),
        ({"events": ["call.unheard"]}, "events"),
        ({"events": ["webhook.test"]}, "events"),
        ({"format": "xml"}, "format"),
        ({"secret": "whsec_short"}, "secret"),
        ({"description": "x" * 256}, "description"),
        ({"description": "a\x00b"}, "description"),
        ({"status": "ACTIVE"}, "status"),
        ({"failing_since": 5}, "failing_since"),
    ],
)
async def test_bad_bodies_name_the_field(client: Client, body: dict[str, Any], field: str):
    status, answer = await post(client, "/api/webhooks", **{"url": URL, "events": ["*"], **body})
    assert (status, answer["error"]["field"]) == (422, field)
    assert (await (await client.get("/api/webhooks")).json())["total"] == 0


async def test_a_url_cannot_be_changed_to_an_inner_one(client: Client):
    row = await made(client)
    answer = await client.patch(f"/api/webhooks/{row['id']}", json={"url": "http://10.0.0.1/"})
    assert (answer.status, (await answer.json())["error"]["field"]) == (422, "url")


async def test_a_slack_url_is_never_shown(client: Client, db: Database):
    row = await made(client, url="http://127.0.0.1:24601/services/T/B/SECRET", format="slack")
    assert (row["secret"], row["url"]) == (None, "http://127.0.0.1/")
    async with db.read() as session:
        assert (await session.get_one(WebhookEndpoint, row["id"])).secret.endswith("/services/T/B/SECRET")
    audit = await (await client.get("/api/audit-logs")).text()
    assert "SECRET" not in audit
    assert (await post(client, f"/api/webhooks/{row['id']}/rotate"))[0] == 422


async def test_a_test_event_arrives_and_is_listed(client: Client, db: Database):
    outbox = Outbox(db)
    async with receiver() as far:
        row = await made(client, url=far.url, secret=SECRET)
        status, queued = await post(client, f"/api/webhooks/{row['id']}/test")
        assert status == 202
        outbox.now = 4_000_000_000_000
        await outbox.deliver()
        assert far.got[0].verified(SECRET)["type"] == "webhook.test"
    listed = await (await client.get(f"/api/webhooks/{row['id']}/deliveries?state=delivered&limit=5")).json()
    assert [each["id"] for each in listed["data"]] == [queued["id"]]
    shown = await (await client.get(f"/api/outbox/{queued['id']}")).json()
    assert [each["status"] for each in shown["tries"]] == [204]
    again = await post(client, f"/api/outbox/{queued['id']}/retry")
    assert (again[0], again[1]["state"], again[1]["attempts"]) == (200, "pending", 0)
    assert (await post(client, f"/api/outbox/{queued['id']}/discard"))[1]["state"] == "discarded"
    assert (await post(client, f"/api/outbox/{queued['id']}/discard"))[0] == 409
    assert (await post(client, "/api/outbox/retry", endpoint_id=row["id"])) == (200, {"messages": 0})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/outbox?state=lost", 422),
        ("/api/outbox?payload=x", 400),
        ("/api/outbox?limit=0", 422),
        ("/api/outbox?limit=1001", 422),
        ("/api/outbox?cursor=bm9uc2Vuc2U", 422),
        ("/api/outbox?endpoint_id='%20OR%201=1", 422),
        ("/api/outbox/msg_none", 404),
        ("/api/webhooks/none", 404),
        ("/api/webhooks/1/deliveries?endpoint_id=2", 404),
    ],
)
async def test_bad_questions(client: Client, path: str, status: int):
    assert (await client.get(path)).status == status


async def test_only_who_may_manage_settings(db: Database):
    async with db.write() as session:
        _, key = await create_key(session, "viewer", "viewer", rate_limit_per_minute=0)
    async with TestClient(TestServer(make_app(db)), headers={"Authorization": f"Bearer {key}"}) as viewer:
        for path in ("/api/webhooks", "/api/outbox"):
            assert (await viewer.get(path)).status == 403


# -- the command line ---------------------------------------------------------------------------------------


def test_the_command_line(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCX_WEBHOOK_ALLOW", "127.0.0.0/8")
    shutil.copy(template, tmp_path / "dcx.db")

    def dcx(*args: str) -> Any:
        result = CliRunner().invoke(app, ["--home", str(tmp_path), *args])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout) if "--json" in args else result.stdout

    def refused(*args: str) -> str:
        result = CliRunner().invoke(app, ["--home", str(tmp_path), *args])
        assert (result.exit_code, result.stdout) == (2, "")
        return result.stderr

    assert "call.completed" in refused("webhooks", "add", URL)
    assert "url: must not lead" in refused("webhooks", "add", "http://10.0.0.1/", "--events", "*")
    assert dcx("webhooks", "add", URL, "--events", "call.*,cap.reached", "--secret", SECRET).strip() == SECRET
    (row,) = dcx("webhooks", "list", "--json")
    assert (row["url"], row["events"]) == (URL, ["call.*", "cap.reached"])
    assert SECRET not in dcx("webhooks", "show", "1")
    assert "nothing to set" in refused("webhooks", "set", "1")
    assert dcx("webhooks", "set", "1", "--events", "*", "--json")["events"] == ["*"]
    assert dcx("webhooks", "rotate", "1", "--json")["secret"] != SECRET
    message = dcx("webhooks", "test", "1").strip()
    (listed,) = dcx("outbox", "list", "--webhook", "1", "--state", "pending", "--json")
    assert (listed["id"], listed["event"]) == (message, "webhook.test")
    assert dcx("webhooks", "deliveries", "1", "--json") == [listed]
    assert message in dcx("outbox", "show", message)
    assert dcx("outbox", "retry", message, "--json")["state"] == "pending"
    assert "either" in refused("outbox", "retry")
    assert "Discarded" in dcx("outbox", "discard", message)
    assert dcx("outbox", "retry", "--dead", "--json") == {"messages": 0}
    assert "Paused" in dcx("webhooks", "pause", "1")
    assert "Resumed" in dcx("webhooks", "resume", "1")
    assert "Removed" in dcx("webhooks", "rm", "1")
    assert "webhook: there is no webhook" in refused("webhooks", "show", "1")
    assert {each["event"] for each in dcx("webhooks", "events", "--json")} >= {"call.started", "buyer.paused"}
