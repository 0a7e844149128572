"""The call log over HTTP: filters, links to recordings and what they refuse, callbacks, roles and scopes."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from dcx_ari.api.recordings import LINK_S
from dcx_ari.services import recording_links
from dcx_ari.services.errors import Forbidden
from dcx_ari.services.recording_links import Link, read_link, secret_of, sign
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import AuditEntry, Recording
from tests.unit.access_kit import Client, key_of, serving
from tests.unit.call_log_kit import ZONE, add, at, audio, call, configure, recording

pytestmark = pytest.mark.unit

NOON = at("2026-03-02T12:00")
SOUND = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"

    async def make() -> None:
        database = open_database(f"sqlite:///{path}")
        await migrate(database)
        await configure(database)
        await add(
            database,
            call("call0000a", NOON, buyer_id=1, traffic_source_id=1),
            call("call0000b", NOON + 1, status="BUSY", failure_reason="all_no_answer", buyer_id=2),
            recording("call0000a"),
            recording("call0000b", deleting_at=1, deleted_at=2, delete_reason="rule 1: 30 days"),
        )
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    audio(tmp_path, "call0000a", SOUND)
    opened = replace(open_database(f"sqlite:///{tmp_path}/dcx.db"), info={"zone": ZONE})
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database, tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(db, home=tmp_path, base_url="https://calls.example.com") as made:
        made.session.headers.update(await key_of(db, "boss", "admin"))
        yield made


async def link(client: Client, path: str = "/api/calls/call0000a/recording-url", **headers: Any) -> str:
    """Where the audio is, without the host."""
    answer = await client.get(path, **headers)
    assert answer.status == 200, await answer.text()
    told = await answer.json()
    assert told["url"].startswith("https://calls.example.com/")
    return str(told["url"]).removeprefix("https://calls.example.com")


async def plays(db: Database) -> list[tuple[str, str]]:
    async with db.read() as session:
        rows = select(AuditEntry.actor_name, AuditEntry.resource_id).where(AuditEntry.action == "recording.played")
        return [(row[0], row[1] or "") for row in (await session.exec(rows.order_by(col(AuditEntry.id)))).all()]


# -- recordings -------------------------------------------------------------------------------------------------


async def test_a_link_plays_without_a_key_and_each_play_is_known(client: Client, db: Database):
    url = await link(client)
    del client.session.headers["Authorization"]
    whole = await client.get(url)
    assert (whole.status, await whole.read()) == (200, SOUND)
    assert whole.content_type == "audio/wav"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Disposition"] == 'inline; filename="call0000a.rec1.wav"'
    assert await plays(db) == [("boss", "call0000a.rec1")]
    await client.get(url)
    assert len(await plays(db)) == 1  # a player asks many times
    saved = await client.get(f"{url}&download=true")
    assert saved.headers["Content-Disposition"].startswith("attachment;")


async def test_ranges(client: Client, db: Database):
    url = await link(client)
    head = await client.head(url)
    assert (head.status, head.headers["Content-Length"], await head.read()) == (200, str(len(SOUND)), b"")
    assert await plays(db) == []
    for asked, expected, told in (
        ("bytes=0-9", SOUND[:10], "bytes 0-9/1024"),
        ("bytes=1000-", SOUND[1000:], "bytes 1000-1023/1024"),
        ("bytes=-4", SOUND[-4:], "bytes 1020-1023/1024"),
        ("bytes=1000-9999", SOUND[1000:], "bytes 1000-1023/1024"),
    ):
        part = await client.get(url, headers={"Range": asked})
        assert (part.status, await part.read(), part.headers["Content-Range"]) == (206, expected, told)
    for asked in ("bytes=1024-", "bytes=9999-99999"):
        part = await client.get(url, headers={"Range": asked})
        assert (part.status, part.headers["Content-Range"]) == (416, "bytes */1024")
    tag = (await client.get(url)).headers["ETag"]
    assert (await client.get(url, headers={"If-None-Match": tag})).status == 304
    assert len(await plays(db)) == 1


async def test_a_token_that_is_not_ours_is_worth_nothing(client: Client, db: Database, tmp_path: Path):
    url = await link(client)
    base, token = url.partition("?token=")[::2]
    payload, signature = token.split(".")
    other = sign(secret_of(tmp_path), Link("call0000b.rec1", 2**40, "key", "1", "x"))
    old = sign(secret_of(tmp_path), Link("call0000a.rec1", int(time.time()), "key", "1", "x"))
    foreign = sign(b"guessed", Link("call0000a.rec1", 2**40, "key", "1", "x"))
    bad = [
        "",
        ".",
        payload,
        f"{payload}.",
        f"{payload}.{signature[:-1]}",
        f"{payload}x.{signature}",
        "é.é",
        f".{signature}",
    ]
    for each in (*bad, other, old, foreign):
        answer = await client.get(base, params={"token": each})
        assert answer.status == 403, each
        assert (await answer.json())["error"]["field"] == "token"
    assert await plays(db) == []


def test_a_link_is_good_for_a_quarter_of_an_hour_and_not_longer():
    secret, now = b"x" * 32, 1_000_000
    token = sign(secret, Link("r", now + LINK_S, "key", "1", "Ann. B"))
    assert read_link(secret, token, "r", now + 899).actor_name == "Ann. B"
    with pytest.raises(Forbidden, match="expired"):
        read_link(secret, token, "r", now + 900)


def test_the_secret_is_made_once_and_is_its_owners(tmp_path: Path):
    made = secret_of(tmp_path)
    assert len(made) == 32
    assert secret_of(tmp_path) == made
    assert (tmp_path / "recordings.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["recordings.key"]
    (tmp_path / "recordings.key").write_bytes(b"cut short")
    assert len(secret_of(tmp_path)) == 32
    assert recording_links.secret_of(tmp_path) != made


async def test_a_recording_that_was_deleted_is_gone_with_its_reason(client: Client, tmp_path: Path):
    url = await link(client)
    answer = await client.delete("/api/recordings/call0000a.rec1", json={"reason": "the caller asked"})
    assert (await answer.json())["state"] == "deleted"
    for path in (url, "/api/calls/call0000a/recording-url", "/api/calls/call0000b/recording-url"):
        answer = await client.get(path)
        assert answer.status == 410
        assert "rule 1" in await answer.text() or "the caller asked" in await answer.text()
    assert list((tmp_path / "recordings").rglob("*.wav")) == []


@pytest.mark.parametrize("path", ["../precious.wav", "/etc/hostname", "recordings/../precious.wav", "recordings", ""])
async def test_no_row_leads_out_of_the_folder(client: Client, db: Database, tmp_path: Path, path: str):
    (tmp_path / "precious.wav").write_bytes(b"x")
    url = await link(client)
    async with db.write() as session:
        row = await session.get(Recording, "call0000a.rec1")
        assert row is not None
        row.path = path
    assert (await client.get(url)).status == 404


async def test_a_link_in_the_folder_that_leads_out_of_it_is_not_followed(client: Client, tmp_path: Path):
    url, file = await link(client), tmp_path / "recordings/call00/call0000a.rec1.wav"
    file.unlink()
    (tmp_path / "secret").write_bytes(b"x")
    file.symlink_to(tmp_path / "secret")
    assert (await client.get(url)).status == 404


async def test_listening_needs_the_permission_and_the_scope(client: Client, db: Database):
    viewer = await key_of(db, "viewer", "viewer")
    other = await key_of(db, "buyer 2", "agent", buyer_id=2)
    own = await key_of(db, "buyer 1", "agent", buyer_id=1)
    paths = (
        "/api/calls/call0000a/recording-url",
        "/api/recordings/call0000a.rec1",
        "/api/recordings/call0000a.rec1/url",
    )
    for path in paths:
        assert (await client.get(path, headers=viewer)).status == 403
        assert (await client.get(path, headers=other)).status == 404
        assert (await client.get(path, headers=own)).status == 200
    assert "path" not in await (await client.get(paths[1], headers=own)).json()
    listed = await (await client.get("/api/recordings?deleted=false", headers=own)).json()
    assert [each["id"] for each in listed["data"]] == ["call0000a.rec1"]
    url = await link(client, headers=own)
    assert (await client.get(url)).status == 200
    assert await plays(db) == [("buyer 1", "call0000a.rec1")]


# -- the rest ---------------------------------------------------------------------------------------------------


async def test_lists_carry_totals_and_cursors(client: Client):
    page = await (await client.get("/api/calls?limit=1")).json()
    assert (page["total"], page["total_exact"], [each["id"] for each in page["data"]]) == (2, True, ["call0000b"])
    page = await (await client.get("/api/calls", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert ([each["id"] for each in page["data"]], page["next_cursor"]) == (["call0000a"], None)
    found = await (await client.get("/api/calls?status=FAILED,NO_ANSWER,BUSY&completed=false&date=2026-03-02")).json()
    assert [each["id"] for each in found["data"]] == ["call0000b"]
    found = await (await client.get("/api/calls?sort_by=started_at&sort_order=asc&count=false&limit=1")).json()
    assert (found["data"][0]["id"], found["total"]) == ("call0000a", -1)
    assert (await client.get("/api/calls?nope=1")).status == 400
    assert (await client.get("/api/calls?count=2")).status == 422


async def test_the_paths_of_the_source_document(client: Client):
    tagged = await client.post("/api/calls/call0000a/tags", json={"tags": ["vip"]})
    [tag] = (await tagged.json())["data"]
    assert [each["id"] for each in (await (await client.get("/api/calls?tags=vip,x")).json())["data"]] == ["call0000a"]
    assert (await client.delete(f"/api/calls/call0000a/tags/{tag['id']}")).status == 200
    made = await client.post(
        "/api/calls/callbacks", json={"phone_number": "+12125550100", "due_at": "2026-03-02T09:00"}
    )
    assert made.status == 201
    pending = await (await client.get("/api/calls/callbacks?status=pending&overdue=true")).json()
    assert [each["id"] for each in pending["data"]] == [1]
    done = await client.patch("/api/calls/callbacks/1/complete", json={"outcome": "sold"})
    assert (await done.json())["status"] == "completed"
    assert (await client.patch("/api/calls/callbacks/1/cancel")).status == 409
    looked = await (await client.get("/api/calls/lookup?phone=+12125550100")).json()
    assert list(looked) == ["phone", "name", "call_history_count", "last_call", "carrier", "is_mobile", "is_blocked"]
    assert looked["call_history_count"] == 2
    unsold = await (await client.get("/api/calls/uncompleted")).json()
    assert (unsold["data"][0]["reason"], unsold["groups"]["no buyers available"]) == ("no buyers available", 1)


async def test_what_is_said_of_a_call(client: Client):
    assert (await client.post("/api/calls/call0000a/notes", json={"text": "hm"})).status == 201
    changed = await client.patch("/api/calls/call0000a", json={"outcome": "Follow up"})
    assert await changed.json() == {"id": "call0000a", "outcome": "follow-up"}
    assert (await client.post("/api/calls/call0000a/hold", json={"reason": "case 7"})).status == 201
    refused = await client.delete("/api/recordings/call0000a.rec1", json={"reason": "x"})
    assert refused.status == 409
    shown = await (await client.get("/api/calls/call0000a")).json()
    assert (shown["outcome"], shown["notes"][0]["text"], shown["legal_hold"]["reason"]) == ("follow-up", "hm", "case 7")
    assert (await client.delete("/api/calls/call0000a/hold")).status == 204
    assert (await client.post("/api/calls/call0000a/block")).status == 201
    assert (await client.post("/api/calls/call0000a/retry")).status == 201
    bulk = {"tags": ["vip"], "filters": {"status": "BUSY"}}
    assert await (await client.post("/api/calls/bulk-tag", json=bulk)).json() == {"matched": 1, "changed": 1}
    assert (await client.post("/api/calls/bulk-tag", json={"tags": ["vip"], "filters": {"x": "1"}})).status == 400
    assert (await client.patch("/api/calls/call0000a", json={"outcom": "x"})).status == 422


async def test_retention_rules_over_http(client: Client):
    made = await client.post(
        "/api/recording-retention-rules",
        json={"campaign": "Solar", "retention_days": 90, "exceptions": {"disputed": "forever", "converted": 180}},
    )
    rule = await made.json()
    assert (made.status, rule["always_record"], rule["campaign_id"]) == (201, True, 1)
    one = f"/api/recording-retention-rules/{rule['id']}"
    assert (await (await client.patch(one, json={"retention_days": None})).json())["retention_days"] is None
    assert (await client.delete(one)).status == 204
    assert (await client.get(one)).status == 404
    await client.post("/api/recording-retention-rules", json={"retention_days": 0})
    report = await (await client.post("/api/recording-retention-rules/run?dry_run=true")).json()
    assert (report["deleted"], report["due_count"]) == (0, 1)
    bad = {"retention_days": 1, "exceptions": {"disputed": "always"}}
    assert (await client.post("/api/recording-retention-rules", json=bad)).status == 422


async def test_an_agent_edits_and_neither_blocks_nor_holds(client: Client, db: Database):
    agent = await key_of(db, "agent", "agent")
    tied = await key_of(db, "tied", "admin", traffic_source_id=1)
    note = {"json": {"text": "hm"}}
    assert (await client.post("/api/calls/call0000a/notes", headers=agent, **note)).status == 201
    assert (await client.post("/api/calls/call0000a/notes", headers=tied, **note)).status == 403
    for path, body in (("block", {}), ("hold", {"reason": "x"}), ("retry", {})):
        assert (await client.post(f"/api/calls/call0000a/{path}", json=body, headers=agent)).status == 403
    seen = await (await client.get("/api/calls", headers=tied)).json()
    assert [each["id"] for each in seen["data"]] == ["call0000a"]
    assert "buyer" not in seen["data"][0]
    assert (await client.get("/api/calls?buyer=1", headers=tied)).status == 400
