"""Every route for every role, asked for real; the roles' table is the one in docs/access.md."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from access_kit import Client, bearer, fault, key_of, migrated, serving, whole_app
from aiohttp import web

from dcx_ari.api.routes import ROUTES, Route
from dcx_ari.services.permissions import BUILT_IN, SCOPED, known
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.models import Call, Leg

pytestmark = pytest.mark.unit

DOC = Path(__file__).parents[2] / "docs/access.md"
ROLES = ("admin", "manager", "agent", "viewer")


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
async def client(db: Database) -> AsyncIterator[Client]:
    async with serving(db) as made:
        yield made


def table() -> dict[str, frozenset[str]]:
    """Permission -> roles that have it, as documented; `.read` and `.write` are those of all other kinds."""
    text = DOC.read_text("utf-8").partition("## Roles")[2].partition("\n## ")[0]
    found = {}
    for names, *cells in re.findall(r"^\| ([^|]*`[^|]*) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|", text, re.MULTILINE):
        assert set(cells) <= {"yes", "no"}
        for name in re.findall(r"`([^`]+)`", names):
            found[name] = frozenset(role for role, cell in zip(ROLES, cells, strict=True) if cell == "yes")
    return found


def documented(permission: str, rows: dict[str, frozenset[str]]) -> frozenset[str]:
    return rows[permission] if permission in rows else rows[f".{permission.rpartition('.')[2]}"]


def routes(app: web.Application) -> list[Route]:
    return list(app[ROUTES].values())


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "999999", path)


def test_the_table_names_every_permission_and_every_role():
    rows = table()
    assert set(ROLES) == set(BUILT_IN)
    assert known() <= {name for name in known() if documented(name, rows)}
    assert not set(rows) - known() - {"self", ".read", ".write"}
    assert len(rows) > 15


def test_every_route_is_declared_with_a_permission_that_exists(tmp_path: Path):
    app = whole_app(open_database(f"sqlite:///{tmp_path}/x.db"))
    served = {
        ("GET" if route.method == "HEAD" else route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    assert served - set(app[ROUTES]) == set()
    assert {route.permission for route in routes(app)} - known() == {None, "self"}


PUBLIC = (
    *("/health", "/ready", "/metrics", "/api/session", "/api/invitations/{token}/accept"),
    *("/api/postbacks/{call_key}", "/api/campaigns/{key}/public-docs", "/api/public-campaigns"),
    *("/api/leads", "/api/posting/numbers", "/api/calls/voicemails/{voicemail}/audio"),
)
"""What needs no key. The handler looks after itself: a password, a signature, a campaign's own key, nothing secret."""


async def test_what_is_open_to_everybody_was_meant_to_be(client: Client):
    assert client.app is not None
    opened = {route.path for route in routes(client.app) if route.permission is None}
    assert {each for each in opened if not each.startswith(("/api/openapi", "/api/docs", "/api/recordings/"))} <= set(
        PUBLIC
    )
    for route in routes(client.app):
        if route.permission is not None:
            answer = await client.request(route.method, filled(route.path))
            assert answer.status == 401, f"{route.method} {route.path}"


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_for_every_role(client: Client, db: Database, role: str):
    assert client.app is not None
    headers = await key_of(db, role, role)
    rows, wrong, asked = table(), [], 0
    for route in routes(client.app):
        if route.permission is None or (route.method, route.path) == ("DELETE", "/api/session"):
            continue
        answer = await client.request(route.method, filled(route.path), headers=headers)
        text = await answer.text()
        refused = answer.status == 403 and "lacks" in text
        allowed = role in documented(route.permission, rows)
        asked += 1
        if route.permission == "self" and "notification-preferences" in route.path:
            allowed = allowed and role == "admin"  # somebody else's are for whoever manages settings
        if refused is allowed or answer.status in (401, 429):
            wrong.append(f"{route.method} {route.path}: {answer.status} {text[:100]}")
    assert wrong == []
    assert asked > 100


async def test_a_refusal_is_the_same_whether_the_row_exists_or_not(client: Client, db: Database):
    admin, agent = await key_of(db, "admin", "admin"), await key_of(db, "agent", "agent")
    made = await client.post("/api/buyers", headers=admin, json={"name": "Rich", "endpoint_value": "+15551230001"})
    row = (await made.json())["id"]
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/copy")):
        texts = set()
        for key in (row, "Rich", "999999", "Nobody"):
            answer = await client.request(method, f"/api/buyers/{key}{path}", headers=agent, json={})
            texts.add(await answer.text())
            assert await fault(answer) == (403, "Authorization", f"role agent lacks buyers.{_verb(method)}")
            assert "ETag" not in answer.headers
        assert len(texts) == 1
    assert (await client.get("/api/buyers/Rich", headers=admin)).status == 200


def _verb(method: str) -> str:
    return "read" if method == "GET" else "write"


def _scoped_gets(app: web.Application) -> Iterator[Route]:
    for route in routes(app):
        if route.method == "GET" and route.permission in {*SCOPED, "self"}:
            yield route


@pytest.mark.parametrize("scope", [{"buyer_id": "Mine"}, {"traffic_source_id": "Mine"}])
async def test_a_scoped_key_sees_nothing_of_others(client: Client, db: Database, scope: dict[str, str]):
    """Everything that such a key may read is read, and what belongs to others must not be in it."""
    assert client.app is not None
    admin = await key_of(db, "admin")
    await _two_of_everything(client, db, admin)
    body = {"name": "scoped", "role": "admin", "rate_limit_per_minute": 0, **scope}
    key = (await (await client.post("/api/api-keys", headers=admin, json=body)).json())["key"]
    wrong, seen = [], ""
    for route in _scoped_gets(client.app):
        for row in ("1", "2", "theirs-call", "mine-call"):
            path = re.sub(r"\{\w+\}", row, route.path)
            answer = await client.get(path, headers=bearer(key))
            text = await answer.text()
            seen += text
            if re.search(r"Theirs|theirs-call\"|15559990002|15558880002", text.replace(f"'{row}'", "")):
                wrong.append(f"{path}: {text[:300]}")
    assert wrong == []
    assert "Mine" in seen
    for route in routes(client.app):
        if route.permission not in (None, "self", *SCOPED):
            answer = await client.request(route.method, filled(route.path), headers=bearer(key))
            assert answer.status == 403, f"{route.method} {route.path}"


async def _two_of_everything(client: Client, db: Database, admin: dict[str, str]) -> None:
    for number, whose in ((1, "Mine"), (2, "Theirs")):
        phone = f"+1555888000{number}"
        for path, body in (
            ("buyers", {"name": whose, "endpoint_value": f"+1555999000{number}"}),
            ("traffic-sources", {"name": whose}),
            ("campaigns", {"name": f"{whose} campaign"}),
            ("numbers", {"phone_number": phone, "traffic_source": whose}),
            ("contacts", {"phone_number": phone, "name": whose}),
        ):
            answer = await client.post(f"/api/{path}", headers=admin, json=body)
            assert answer.status in (201, 422), await answer.text()
        name = f"{whose.lower()}-call"
        ids = {"buyer_id": number, "traffic_source_id": number, "campaign_id": number}
        numbers = {"dialled": phone, "caller": f"+1555999000{number}"}
        async with db.write() as session:
            session.add(Call(id=name, postback_key=f"k{number}.s", started_at=1_700_000_000_000, **numbers, **ids))
            await session.flush()
            session.add(Leg(id=f"{name}-leg", call_id=name, buyer_id=number, endpoint=phone))
