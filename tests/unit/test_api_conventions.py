"""What all lists and rows of the API have in common: two who edit one row, scoped keys, odd and hostile input."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from access_kit import Client, fault, key_of, serving
from rows_kit import A, add, edit, listed, migrated, opened
from sqlmodel import select
from yarl import URL

from dcx_ari.api.row_shapes import row_shape
from dcx_ari.services.listing import encode_cursor
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.rows import kind_of
from dcx_ari.store.db import Database
from dcx_ari.store.models import AuditEntry

pytestmark = pytest.mark.unit
HOSTILE = (
    "'; DROP TABLE buyers; --",
    '" OR ""="',
    "1) UNION SELECT key_hash FROM api_keys --",
    "%27%20OR%201%3D1",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A1",
    "../../etc/passwd",
    "A\r\nX-Injected: 1",
    "\u202egnp.exe",
    "🙂" * 40,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        yield database


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serving(db) as made:
        made.session.headers.update(await key_of(db, "tests"))
        yield made


async def test_the_second_of_two_editors_is_told_what_changed(client: Client, db: Database):
    await add(db, "buyers", name="B", endpoint_value=A, weight=10, notes="old")
    mine = {"If-Match": '"1"'}
    assert (await client.patch("/api/buyers/B", json={"weight": 20, "tier": 3}, headers=mine)).status == 200
    for body, headers in (({"weight": 30, "notes": "new"}, mine), ({"weight": 30, "notes": "new", "version": 1}, {})):
        response = await client.patch("/api/buyers/B", json=body, headers=headers)
        told = await response.json()
        assert (response.status, told["error"]["field"], told["current"]["version"]) == (412, "version", 2)
        assert told["current"]["values"] == {"weight": 20, "notes": "old"}
        assert told["current"]["updated_at"].endswith("Z")
    assert (await client.patch("/api/buyers/B", json={"weight": 30, "version": 2})).status == 200
    assert (await client.delete("/api/buyers/B", headers=mine)).status == 412
    assert (await client.delete("/api/buyers/B", headers={"If-Match": '"3"'})).status == 204


async def test_a_clash_shows_no_secret_and_follows_names(client: Client, db: Database):
    await add(db, "trunks", name="T", host="sip.example", username="u", password="hunter2hunter2")
    await add(db, "campaigns", name="C")
    await add(db, "numbers", phone_number=A, campaign="C")
    await edit(db, "trunks", "T", port=5070)
    await edit(db, "numbers", A, notes="x")
    body = {"password": "mine-mine-mine", "port": 1, "version": 1}
    told = await (await client.patch("/api/trunks/T", json=body)).json()
    assert (told["current"]["values"], "hunter2" in json.dumps(told)) == ({"port": 5070}, False)
    told = await (await client.patch(f"/api/numbers/{A}", json={"campaign": None, "version": 1})).json()
    assert told["current"]["values"] == {"campaign_id": 1}


UNWRITABLE: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"version": "1"}, {}, "version"),
    ({"version": True}, {}, "version"),
    ({"version": 0}, {}, "version"),
    ({"version": 10**30}, {}, "version"),
    ({"version": 1}, {"If-Match": '"2"'}, "version"),
    ({}, {"If-Match": "abc"}, "If-Match"),
    ({}, {"If-Match": '"1", "2"'}, "If-Match"),
    ({"id": 5}, {}, "id"),
    ({"short_id": "BY-5"}, {}, "short_id"),
    ({"created_at": 0}, {}, "created_at"),
    ({"daily_used": 0}, {}, "daily_used"),
]


async def test_what_cannot_be_written(client: Client, db: Database):
    await add(db, "buyers", name="B", endpoint_value=A)
    for body, headers, field in UNWRITABLE:
        response = await client.patch("/api/buyers/B", json=body, headers=headers)
        assert (await fault(response))[:2] == (422, field), body


async def test_times_have_milliseconds_and_rows_their_short_ids(client: Client, db: Database):
    await add(db, "buyers", name="B", endpoint_value=A)
    await add(db, "campaigns", name="C")
    await client.post("/api/campaigns/CM-1/buyers", json={"buyer": "BY-1"})
    (row,) = (await (await client.get("/api/campaigns/C/buyers")).json())["data"]
    assert (row["short_id"], row["buyer"], row["campaign"]) == ("CB-1", "B", "C")
    assert len(row["created_at"]) == len("2026-01-31T09:00:00.000Z")
    shown = await (await client.get("/api/buyers/by-1")).json()
    assert (await (await client.get("/api/buyers?q=by-1")).json())["data"] == [shown]


async def test_hostile_text_is_text(client: Client, db: Database):
    before = await add(db, "buyers", name="B", endpoint_value=A)
    for text in HOSTILE:
        await _try(client, text)
        assert (await listed(db, "buyers")).items[0] == before


async def _try(client: Client, text: str) -> None:
    response = await client.post("/api/buyers", json={"name": text, "endpoint_value": A, "notes": text})
    if not text.isprintable():
        assert (await fault(response))[:2] == (422, "name")
        response = await client.post("/api/buyers", json={"name": repr(text), "endpoint_value": A, "notes": text})
    assert response.status == 201
    assert (await response.json())["notes"] == text
    escaped = quote(text, safe="")
    for path in (escaped, f"{escaped}/pause", "B/" + escaped):
        assert (await client.get(f"/api/buyers/{path}")).status in (200, 404, 405)
    for name in ("name", "filters[name]", "q", "id", "status", "sort_by", "cursor", "limit", "created_from", escaped):
        response = await client.get(f"/api/buyers?{name}={escaped}")
        assert response.status in (200, 400, 422), name
        assert "X-Injected" not in response.headers
    for body in ({text: 1}, {"status": text}, {"trunk": text}, {"version": text}, {"skills": [text]}):
        response = await client.patch("/api/buyers/B", json=body)
        assert response.status == 422, body
        assert "X-Injected" not in response.headers


CURSORS: list[tuple[Any, Any]] = [
    (["id", False, 10**30], 1),
    (["id", False, 1], 10**30),
    (["id", False, 1], True),
    (["id", False, "1"], 1),
    (["id", True, 1], 1),
    (["name", False, "x"], 1),
    (["id", False, None], 1),
    ([[["id"]], {}, 1], 1),
    (None, None),
    ("id", "id"),
    (["id", False, "\ud800"], 1),
]
BAD_PATHS = [
    ("/api/buyers/%00", 404),
    ("/api/buyers/%FF%FE", 404),
    ("/api/buyers/" + "9" * 3000, 404),
    ("/api/buyers/-1", 404),
    ("/api/buyers/0", 404),
    ("/api/buyers/1e3", 404),
    ("/api/buyers/%F0%9F%99%82", 404),
    ("/api/buyers/1%2F..%2F2", 404),
    ("/api/buyers?q=%00", 422),
    ("/api/buyers?name=%00", 422),
    ("/api/buyers?q=" + "a+" * 50, 422),
    ("/api/buyers?name=" + "a," * 1001, 422),
    ("/api/buyers?q=%ED%A0%80%FF", 200),
    ("/api/buyers?name=%ED%A0%80%FF", 200),
    ("/api/buyers?limit=0", 422),
    ("/api/buyers?limit=-1", 422),
    ("/api/buyers?limit=1001", 422),
    ("/api/buyers?limit=%D9%A1", 422),
    ("/api/buyers?cursor=%00", 422),
    ("/api/buyers?cursor=" + "A" * 3000, 422),
    *((f"/api/buyers?cursor={encode_cursor(place, row_id)}", 422) for place, row_id in CURSORS),
    ("/api/buyers?sort_by=id;drop", 400),
    ("/api/buyers?sort_order=sideways", 422),
    ("/api/buyers?tier=99999999999999999999", 422),
    ("/api/buyers?id=99999999999999999999", 422),
    ("/api/buyers?created_from=9999-99-99", 422),
    ("/api/buyers?filters[]=1", 400),
    ("/api/buyers?filters[status=1", 400),
    ("/api/buyers?=1", 400),
    ("/api/campaigns?revenue_min=1e999999999", 422),
]


async def test_odd_paths_are_refused_by_name(client: Client):
    for path, status in BAD_PATHS:
        response = await client.session.get(URL(str(client.make_url("/")).rstrip("/") + path, encoded=True))
        assert response.status == status, path
        if status != 200:
            assert (await fault(response))[0] == status, path


BAD_BODIES: list[tuple[str, int, str]] = [
    ("null", 422, "body"),
    ("[]", 422, "body"),
    ('"x"', 422, "body"),
    ("{", 422, "body"),
    ('{"name": NaN}', 422, "body"),
    ('{"name": "\\ud800"}', 422, "body"),
    ('{"a": ' * 5000 + "1" + "}" * 5000, 422, "body"),
    ('{"name": "A", "endpoint_value": "+12125550111", "filters": ' + "[" * 30 + "]" * 30 + "}", 422, "filters"),
    ('{"name": "A", "endpoint_value": "+12125550111", "nmae": 1}', 422, "nmae"),
    ('{"name": "A", "endpoint_value": "+12125550111", "__proto__": {}}', 422, "__proto__"),
    ('{"name": "A", "endpoint_value": "+12125550111", "weight": 101}', 422, "weight"),
    ('{"name": "A", "endpoint_value": "+12125550111", "weight": 1.5}', 422, "weight"),
    ('{"name": "A", "endpoint_value": "+12125550111", "weight": true}', 422, "weight"),
    ('{"name": "A", "endpoint_value": "+12125550111", "weight": 1e2}', 422, "weight"),
    ('{"name": "A", "endpoint_value": "+12125550111", "trunk": 1.5}', 422, "trunk"),
    ('{"name": "A", "endpoint_value": "+12125550111", "trunk": ["1"]}', 422, "trunk"),
    ('{"name": "A", "endpoint_value": "sip:x@1.2.3.4\\r\\nVia: y"}', 422, "endpoint_value"),
    ('{"name": "A", "endpoint_value": "+12125550111", "timezone": "../../etc/passwd"}', 422, "timezone"),
    ('{"name": "BY-1", "endpoint_value": "+12125550111"}', 422, "name"),
    ('{"name": "' + "A" * 2_000_000 + '"}', 413, "request"),
]


async def test_bodies_that_are_refused_by_name(client: Client, db: Database):
    await add(db, "buyers", name="B", endpoint_value=A)
    headers = {"Content-Type": "application/json"}
    for body, status, field in BAD_BODIES:
        for verb, path in (("POST", "/api/buyers"), ("PATCH", "/api/buyers/B")):
            data = io.BytesIO(body.encode())
            response = await client.session.request(verb, client.make_url(path), data=data, headers=headers)
            found, name, _ = await fault(response)
            assert (found, name.split(".")[0]) == (status, field), body[:100]
    assert (await listed(db, "buyers")).total == 1


async def test_scoped_keys_see_their_own_rows_only(client: Client, db: Database):
    for number in (1, 2):
        await add(db, "sources", name=f"S{number}")
        await add(db, "buyers", name=f"B{number}", endpoint_value="+12125550111")
        await add(db, "numbers", phone_number=f"+1555123000{number}", traffic_source=f"S{number}")
    of_buyer = await key_of(db, "of-buyer", "viewer", buyer_id=2)
    of_source = await key_of(db, "of-source", "viewer", traffic_source_id=2)

    async def seen(path: str, headers: dict[str, str]) -> list[int]:
        response = await client.get(path, headers=headers)
        assert response.status == 200, path
        told = await response.json()
        assert told["total"] == len(told["data"])
        return [row["id"] for row in told["data"]]

    assert await seen("/api/buyers", of_buyer) == [2]
    assert await seen("/api/buyers?name=B1,B2&q=B", of_buyer) == [2]
    assert await seen("/api/traffic-sources", of_buyer) == await seen("/api/numbers", of_buyer) == []
    assert await seen("/api/numbers?traffic_source=S1,S2", of_source) == [2]
    assert await seen("/api/buyers", of_source) == []
    for path in ("/api/buyers/1", "/api/buyers/B1", "/api/buyers/BY-1"):
        missing = (await fault(await client.get(path, headers=of_buyer)))[0]
        assert missing == (await fault(await client.get("/api/buyers/77", headers=of_buyer)))[0] == 404
    assert (await client.get("/api/buyers/B2", headers=of_buyer)).status == 200
    assert (await client.patch("/api/buyers/B2", json={"tier": 1}, headers=of_buyer)).status == 403


async def test_changes_say_who_made_them_and_why(client: Client, db: Database):
    await client.post("/api/buyers", json={"name": "B", "endpoint_value": A})
    assert (await client.post("/api/buyers/B/pause", json={"reason": "no money"})).status == 200
    assert (await client.post("/api/buyers/B/resume")).status == 200
    assert (await fault(await client.post("/api/buyers/B/pause", json={"why": "x"})))[:2] == (422, "why")
    assert (await client.delete("/api/buyers/B")).status == 204
    async with db.read() as session:
        entries = (await session.exec(select(AuditEntry))).all()
    kind = kind_of(RESOURCES["buyers"])
    told = [(each.action, each.actor_name, each.reason) for each in entries if each.resource_type == kind]
    assert told == [
        ("buyer.created", "tests", None),
        ("buyer.paused", "tests", "no money"),
        ("buyer.resumed", "tests", None),
        ("buyer.deleted", "tests", None),
    ]


async def test_a_row_has_the_shape_that_is_promised(client: Client, db: Database):
    """Every column, none of another name; what is worked out comes besides."""
    for name, values in {
        "trunks": {"name": "T", "host": "sip.example"},
        "campaigns": {"name": "C"},
        "sources": {"name": "S"},
        "buyers": {"name": "B", "endpoint_value": A},
        "groups": {"name": "G"},
        "schedules": {"name": "H"},
        "numbers": {"phone_number": "+12125550111"},
        "suppressions": {"phone_number": A},
        "states": {"state_code": "CA"},
        "contacts": {"phone_number": A},
        "call-tags": {"name": "vip"},
    }.items():
        row = await add(db, name, **values)
        shape = row_shape(name)
        assert set(shape["required"]) <= set(row)
        jsonschema.validate(row, shape)
        listed_row = (await (await client.get(f"/api/{RESOURCES[name].path}")).json())["data"][0]
        assert listed_row == row
