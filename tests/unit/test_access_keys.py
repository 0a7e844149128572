"""Keys at the door: who, from where, how often, until when; over a real connection."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from access_kit import Client, Clock, bearer, fault, key_of, migrated, serving
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dcx_ari.api.access import GATE
from dcx_ari.api.app import make_app
from dcx_ari.services.gate import Gate
from dcx_ari.services.keys import create_key, revoke_key, rotate_key
from dcx_ari.services.own_key import own_key
from dcx_ari.services.permissions import SCOPED
from dcx_ari.store.db import Database, open_database

pytestmark = pytest.mark.unit

NOWHERE = "a valid key is needed: Authorization: Bearer dcx_…"


@pytest.fixture(scope="module")
def template() -> Path:
    return migrated()


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(db: Database, clock: Clock) -> AsyncIterator[Client]:
    async with serving(db, clock) as made:
        yield made


@pytest.fixture
async def admin(db: Database) -> dict[str, str]:
    return await key_of(db, "boss")


async def status(client: Client, headers: dict[str, str], path: str = "/api/me") -> int:
    return (await client.get(path, headers=headers)).status


ODD = [
    "",
    "Bearer",
    "Bearer ",
    "Basic ZGN4Og==",
    "Bearer dcx_",
    "Bearer dcx_" + "x" * 43,
    "Bearer dcx_" + "x" * 5_000,
    "Bearer dcs_" + "x" * 43,
    "Bearer dcx_ä",
    "bearer\tdcx_x",
    "Bearer ' OR 1=1 --",
    "Bearer null",
]


async def test_odd_authorization_is_a_401_and_says_nothing(client: Client):
    for value in ODD:
        answer = await client.get("/api/me", headers={"Authorization": value})
        assert await fault(answer) == (401, "Authorization", NOWHERE)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_one_key_at_a_time(client: Client, admin: dict[str, str]):
    value = admin["Authorization"]
    assert await status(client, {"Authorization": value.replace("Bearer", "bEaReR")}) == 200
    twice = [("Authorization", value), ("Authorization", value)]
    assert (await client.get("/api/me", headers=twice)).status == 401


async def test_what_does_not_exist_is_told_to_holders_of_keys_only(client: Client, db: Database):
    viewer = await key_of(db, "viewer", "viewer")
    assert await status(client, {}, "/api/nothing") == 401
    assert await status(client, viewer, "/api/nothing") == 404
    assert (await client.post("/api/me", headers=viewer)).status == 405


async def test_a_route_that_nobody_declared_is_the_administrators(db: Database):
    async def handle(_request: web.Request) -> web.Response:
        return web.Response()

    async with TestClient(
        TestServer(make_app(db, more=[lambda a: a.router.add_get("/api/new", handle) and None]))
    ) as client:
        for role, wanted in (("admin", 200), ("manager", 403), ("viewer", 403)):
            assert await status(client, await key_of(db, role, role), "/api/new") == wanted
        assert await status(client, {}, "/api/new") == 401


async def test_a_header_cannot_be_smuggled_in(client: Client, admin: dict[str, str]):
    answer = await client.get("/api/me", headers={**admin, "X-Request-Id": "a b%0d%0aSet-Cookie: x=1"})
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    assert "%" not in answer.headers["X-Request-Id"]


async def test_a_key_revoked_elsewhere_stops_within_a_second(client: Client, db: Database, clock: Clock):
    key = await key_of(db, "robot")
    assert await status(client, key) == 200
    async with db.write() as session:
        await revoke_key(session, "robot")
    clock.s += 0.999
    assert await status(client, key) == 200  # the answer of a moment ago still counts
    clock.s += 0.001
    assert await status(client, key) == 401


async def test_a_key_revoked_here_stops_at_once(client: Client, db: Database, admin: dict[str, str]):
    key = await key_of(db, "robot")
    assert await status(client, key) == 200
    assert (await client.delete("/api/api-keys/robot", headers=admin)).status == 204
    assert await status(client, key) == 401


async def test_a_key_ends_by_itself(client: Client, db: Database, clock: Clock):
    key = await key_of(db, "guest")
    connection = sqlite3.connect(db.where)
    connection.execute("UPDATE api_keys SET expires_at = ? WHERE name = 'guest'", (clock.now() + 10_000,))
    connection.commit()
    connection.close()
    assert await status(client, key) == 200
    clock.s += 9.9
    assert await status(client, key) == 200
    clock.s += 0.1
    assert await status(client, key) == 401


async def test_a_rotated_key_and_its_grace(client: Client, db: Database, admin: dict[str, str]):
    old = await key_of(db, "robot")
    made = await (await client.post("/api/api-keys/robot/rotate", headers=admin, json={"grace_s": 60})).json()
    new = bearer(made["key"])
    assert made["old_key_works_until"] is not None
    assert (await status(client, old), await status(client, new)) == (200, 200)
    newer = await (await client.post("/api/api-keys/robot/rotate", headers=admin)).json()
    assert newer["old_key_works_until"] is None
    assert [await status(client, each) for each in (old, new, bearer(newer["key"]))] == [401, 401, 200]
    assert newer["key"] not in await (await client.get("/api/api-keys", headers=admin)).text()
    rule = await fault(await client.post("/api/api-keys/robot/rotate", headers=admin, json={"grace_s": -1}))
    assert rule[:2] == (422, "grace_s")


async def test_the_grace_ends(db: Database, clock: Clock):
    async with db.write() as session:
        _, old = await create_key(session, "robot")
        row, new = await rotate_key(session, "robot", 60)
    assert row["old_key_works_until"] is not None
    connection = sqlite3.connect(db.where)
    connection.execute("UPDATE api_keys SET previous_until = ?", (clock.now() + 60_000,))
    connection.commit()
    connection.close()
    gate = Gate(db, clock=clock, now=clock.now)
    clock.s += 59
    assert await gate.holder(old)
    assert await gate.holder(new)
    clock.s += 1
    assert await gate.holder(old) is None
    assert await gate.holder(new)


async def test_over_the_limit(client: Client, db: Database, clock: Clock):
    key = await key_of(db, "slow", "viewer", rate_limit_per_minute=3)
    seen = [await client.get("/api/me", headers=key) for _ in range(4)]
    assert [each.status for each in seen] == [200, 200, 200, 429]
    assert [each.headers["X-RateLimit-Remaining"] for each in seen] == ["2", "1", "0", "0"]
    assert (seen[3].headers["Retry-After"], seen[3].headers["X-RateLimit-Limit"]) == ("20", "3")
    assert await fault(seen[3]) == (429, "rate_limit", "more than 3 requests a minute: wait")
    clock.s += 20
    assert await status(client, key) == 200
    forbidden = await client.get("/api/api-keys", headers=key)
    assert forbidden.status == 429  # the limit comes before the permission


async def test_no_limit_no_headers(client: Client, admin: dict[str, str]):
    answers = [await client.get("/api/me", headers=admin) for _ in range(100)]
    assert {each.status for each in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


async def test_the_command_lines_own_key_has_no_limit_and_leaves_no_trace(client: Client, db: Database):
    async with own_key(db) as key:
        found = {(await client.get("/api/campaigns", headers=bearer(key))).status for _ in range(100)}
        assert found == {200}
    connection = sqlite3.connect(db.where)
    assert connection.execute("SELECT count(*) FROM audit_entries").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (0,)
    connection.close()


async def test_networks(client: Client, db: Database):
    outside = await key_of(db, "outside", allowed_ip_ranges=["192.0.2.0/24", "2001:db8::/32"])
    inside = await key_of(db, "inside", allowed_ip_ranges=["192.0.2.0/24", "127.0.0.0/8", "::1"])
    rule = await fault(await client.get("/api/me", headers=outside))
    assert rule == (403, "Authorization", "this key may not be used from 127.0.0.1")
    assert await status(client, inside) == 200
    forged = {**outside, "X-Forwarded-For": "192.0.2.1"}
    assert await status(client, forged) == 403  # nobody is trusted to say so


FORWARDED = [
    ("192.0.2.7", 200),
    ("192.0.2.7, 10.0.0.9", 200),  # through a second proxy
    ("192.0.2.7, 203.0.113.5", 403),  # whoever came from there wrote the rest himself
    ("203.0.113.5, 192.0.2.7", 200),
    ("nonsense", 403),
    ("", 403),
    (",,,", 403),
]


async def test_behind_a_proxy_that_is_trusted(db: Database):
    key = await key_of(db, "far", allowed_ip_ranges=["192.0.2.0/24"])
    async with serving(db, proxies=["127.0.0.0/8", "10.0.0.0/8"]) as client:
        for forwarded, wanted in FORWARDED:
            assert await status(client, {**key, "X-Forwarded-For": forwarded}) == wanted, forwarded


async def test_last_use_is_kept_to_the_minute(client: Client, db: Database, clock: Clock, admin: dict[str, str]):
    assert client.app is not None
    gate = client.app[GATE]

    async def last_used() -> tuple[str | None, str | None]:
        rows = (await (await client.get("/api/api-keys", headers=admin)).json())["data"]
        return next((each["last_used_at"], each["last_used_ip"]) for each in rows if each["name"] == "boss")

    assert await last_used() == (None, None)
    await gate.flush()
    first = await last_used()
    assert first[1] == "127.0.0.1"
    clock.s += 59
    await status(client, admin)
    await gate.flush()
    assert await last_used() == first
    clock.s += 2
    await status(client, admin)
    await gate.flush()
    second = await last_used()
    assert second[0] is not None
    assert first[0] is not None
    assert second[0] > first[0]


async def test_last_use_waits_for_a_busy_database(tmp_path: Path, template: Path):
    shutil.copy(template, tmp_path / "dcx.db")
    db = open_database(f"sqlite:///{tmp_path}/dcx.db", busy_timeout_ms=10)
    async with db.write() as session:
        _, key = await create_key(session, "robot")
    gate = Gate(db)
    holder = await gate.holder(key)
    assert holder is not None
    gate.used(key, holder, "192.0.2.1")
    async with db.write():
        await gate.flush()
    await gate.flush()
    async with db.read_connection() as connection:
        found = (await connection.exec_driver_sql("SELECT last_used_ip FROM api_keys")).scalar()
    assert found == "192.0.2.1"
    await db.close()


async def test_what_is_kept_in_memory_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dcx_ari.services.gate._MOST", 3)
    gate = Gate(db)
    for number in range(10):
        assert await gate.holder(f"dcx_{number}") is None
    assert len(gate._found) == 3


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "a", "role": "king"}, "role"),
    ({"name": "", "role": "viewer"}, "name"),
    ({"name": "12"}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"name": "a\r\nSet-Cookie: x"}, "name"),
    ({}, "name"),
    ({"name": 5}, "name"),
    ({"name": "a", "rate_limit_per_minute": -1}, "rate_limit_per_minute"),
    ({"name": "a", "rate_limit_per_minute": "60"}, "rate_limit_per_minute"),
    ({"name": "a", "allowed_ip_ranges": ["10.0.0.1/8"]}, "allowed_ip_ranges.0"),
    ({"name": "a", "allowed_ip_ranges": "10.0.0.0/8"}, "allowed_ip_ranges"),
    ({"name": "a", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ({"name": "a", "expires_at": "tomorrow"}, "expires_at"),
    ({"name": "a", "buyer_id": 99}, "buyer_id"),
    ({"name": "a", "buyer_id": "Nobody"}, "buyer_id"),
    ({"name": "a", "key_hash": "x"}, "key_hash"),
    ({"name": "a", "webhook_url": "http://127.0.0.1/"}, "webhook_url"),
]


async def test_a_bad_key_names_the_field(client: Client, admin: dict[str, str]):
    for fields, field in BAD:
        answer = await client.post("/api/api-keys", headers=admin, json=fields)
        assert (await fault(answer))[:2] == (422, field), fields


async def test_nobody_makes_or_takes_a_key_that_may_do_more_than_he(
    client: Client, db: Database, admin: dict[str, str]
):
    made = await client.post(
        "/api/roles", headers=admin, json={"name": "keeper", "permissions": ["settings.manage", "calls.view"]}
    )
    assert made.status == 201
    keeper = await key_of(db, "keeper", "keeper")

    async def asked(method: str, path: str, **body: Any) -> tuple[int, str]:
        answer = await client.request(method, path, headers=keeper, json=body)
        return (answer.status, "") if answer.status < 300 else (await fault(answer))[:2]

    assert await asked("POST", "/api/api-keys", name="a", role="admin") == (403, "role")
    assert await asked("POST", "/api/api-keys", name="b", role="viewer") == (403, "role")
    assert await asked("POST", "/api/api-keys", name="c", role="keeper") == (201, "")
    assert await asked("POST", "/api/api-keys", name="d", role="keeper", rate_limit_per_minute=0) == (
        403,
        "rate_limit_per_minute",
    )
    assert await asked("POST", "/api/api-keys/boss/rotate") == (403, "role")
    assert await asked("PATCH", "/api/api-keys/boss", name="mine") == (403, "role")
    assert await asked("PATCH", "/api/api-keys/c", role="admin") == (403, "role")
    assert await asked("PATCH", "/api/roles/keeper", permissions=["*"]) == (403, "permissions")
    assert await asked("POST", "/api/roles", name="lord", permissions=["*.write"]) == (403, "permissions")
    assert await asked("POST", "/api/users", email="a@example.com", role="admin") == (403, "role")
    assert await asked("POST", "/api/team-members/invite", email="a@example.com", role="admin") == (403, "role")
    assert await asked("DELETE", "/api/roles/admin") == (409, "role")


async def test_a_role_changed_counts_at_once_and_one_in_use_stays(client: Client, db: Database, admin: dict[str, str]):
    await client.post("/api/roles", headers=admin, json={"name": "night", "permissions": ["campaigns.read"]})
    night = await key_of(db, "night", "night")
    assert [await status(client, night, f"/api/{each}") for each in ("campaigns", "api-keys")] == [200, 403]
    await client.patch("/api/roles/night", headers=admin, json={"permissions": ["settings.manage"]})
    assert await status(client, night, "/api/api-keys") == 200
    assert (await fault(await client.delete("/api/roles/night", headers=admin)))[0] == 409
    await client.delete("/api/api-keys/night", headers=admin)
    assert (await client.delete("/api/roles/night", headers=admin)).status == 204


@pytest.mark.parametrize("role", ["admin", "manager", "viewer"])
async def test_a_key_for_one_buyer_has_no_more_than_what_is_scoped(
    client: Client, db: Database, admin: dict[str, str], role: str
):
    for name in ("A", "B"):
        body = {"name": name, "endpoint_value": "+15551230001"}
        assert (await client.post("/api/buyers", headers=admin, json=body)).status == 201
    body = {"name": "of A", "role": role, "buyer_id": "A", "rate_limit_per_minute": 0}
    made = await (await client.post("/api/api-keys", headers=admin, json=body)).json()
    me = await (await client.get("/api/me", headers=bearer(made["key"]))).json()
    assert (me["buyer_id"], set(me["permissions"]) <= SCOPED) == (made["buyer_id"], True)
    for path in ("/api/api-keys", "/api/users", "/api/audit-logs"):
        assert await status(client, bearer(made["key"]), path) == 403
    body = {"name": "x", "role": "viewer", "buyer_id": "A", "traffic_source_id": 1}
    assert (await client.post("/api/api-keys", headers=admin, json=body)).status == 422


async def test_every_change_of_a_key_is_in_the_audit_log_and_no_secret(client: Client, admin: dict[str, str]):
    made = await (await client.post("/api/api-keys", headers=admin, json={"name": "robot", "role": "agent"})).json()
    await client.patch("/api/api-keys/robot", headers=admin, json={"rate_limit_per_minute": 5})
    rotated = await (await client.post("/api/api-keys/robot/rotate", headers=admin)).json()
    await client.delete("/api/api-keys/robot", headers=admin)
    answer = await client.get("/api/audit-logs?resource_type=api_key&actor=key:boss", headers=admin)
    text = await answer.text()
    actions = [each["action"] for each in (await answer.json())["data"]]
    assert actions == ["api_key.revoked", "api_key.rotated", "api_key.updated", "api_key.created"]
    assert made["key"] not in text
    assert rotated["key"] not in text
    assert '"before":{"rate_limit_per_minute":60},"after":{"rate_limit_per_minute":5}' in text
    assert '"ip_address":"127.0.0.1"' in text
