"""The API over a real database and a real HTTP connection."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from dcx_ari.api.app import make_app
from dcx_ari.services.keys import create_key
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call, CallEvent, Leg, Recording

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
A = "+15551230001"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db", busy_timeout_ms=50)
    yield opened
    await opened.close()


@pytest.fixture
def reasons() -> list[str | None]:
    """What readiness answers: the last one."""
    return [None]


@pytest.fixture
async def client(db: Database, reasons: list[str | None]) -> AsyncIterator[Client]:
    async def readiness() -> str | None:
        return reasons[-1]

    async with db.write() as session:
        _, key = await create_key(session, "tests", rate_limit_per_minute=0)
    async with TestClient(
        TestServer(make_app(db, readiness=readiness)), headers={"Authorization": f"Bearer {key}"}
    ) as made:
        yield made


async def fault(response: ClientResponse) -> tuple[int, str, str]:
    error = (await response.json())["error"]
    assert set(error) == {"field", "rule", "message"}
    return response.status, error["field"], error["rule"]


async def test_a_row_from_first_to_last(client: Client):
    made = await client.post("/api/buyers", json={"name": "A", "endpoint_value": A, "tier": -10})
    row = await made.json()
    assert (made.status, made.headers["Location"], row["tier"]) == (201, f"/api/buyers/{row['id']}", -10)
    for key in (row["id"], "A"):
        assert await (await client.get(f"/api/buyers/{key}")).json() == row
    changed = await client.patch("/api/buyers/A", json={"weight": 50})
    assert (changed.status, (await changed.json())["version"], changed.headers["ETag"]) == (200, 2, '"2"')
    listed = await (await client.get("/api/buyers")).json()
    assert (listed["total"], listed["next_cursor"], listed["data"][0]["weight"]) == (1, None, 50)
    assert (await client.delete("/api/buyers/A")).status == 204
    assert await fault(await client.get("/api/buyers/A")) == (404, "buyer", "there is no buyer 'A'")


async def test_numbers_in_paths_and_queries(client: Client):
    assert (await client.post("/api/numbers", json={"phone_number": A})).status == 201
    assert (await client.get(f"/api/numbers/{A}")).status == 200
    assert (await client.get(f"/api/phone-numbers/{A[1:]}")).status == 200
    listed = await (await client.get(f"/api/numbers?phone_number={A[1:]}")).json()
    assert listed["total"] == 1


async def test_every_kind_of_row_has_its_routes(client: Client):
    for path in ("trunks", "numbers", "campaigns", "sources", "buyers", "groups", "schedules", "suppressions"):
        assert (await client.get(f"/api/{path}")).status == 200
    for path in ("states", "flows", "traffic-sources", "buyer-groups", "state-rules", "calls", "api-keys"):
        assert (await client.get(f"/api/{path}")).status == 200


async def test_links(client: Client):
    await client.post("/api/campaigns", json={"name": "C"})
    await client.post("/api/buyers", json={"name": "A", "endpoint_value": A})
    assert (await client.post("/api/campaigns/C/buyers", json={"buyer": "A", "tier": 1})).status == 201
    assert (await client.post("/api/campaigns/C/buyers", json={"buyer": "A", "tier": 2})).status == 200
    found = await (await client.get("/api/campaigns/C/buyers")).json()
    assert [(each["buyer"], each["tier"]) for each in found["data"]] == [("A", 2)]
    assert (await client.delete("/api/campaigns/C/buyers/A")).status == 204
    assert (await fault(await client.delete("/api/campaigns/C/buyers/A")))[0] == 404


async def test_pages(client: Client):
    for n in range(5):
        await client.post("/api/campaigns", json={"name": f"C{n}"})
    names: list[str] = []
    url = "/api/campaigns?limit=2&sort_by=name&sort_order=desc"
    cursor = ""
    while cursor is not None:
        page = await (await client.get(url + (f"&cursor={cursor}" if cursor else ""))).json()
        names += [each["name"] for each in page["data"]]
        cursor = page["next_cursor"]
    assert names == ["C4", "C3", "C2", "C1", "C0"]


async def test_if_match(client: Client):
    await client.post("/api/campaigns", json={"name": "C"})
    first = {"If-Match": '"1"'}
    assert (await client.patch("/api/campaigns/C", json={"vertical": "A"}, headers=first)).status == 200
    assert (await fault(await client.patch("/api/campaigns/C", json={"vertical": "B"}, headers=first)))[:2] == (
        412,
        "version",
    )


BAD_BODIES: list[tuple[bytes, str, int, str]] = [
    (b'{"name": "A", "endpoint_value": "5551234"}', "application/json", 422, "endpoint_value"),
    (b'{"name": "A", "endpoint_value": "+15551230001", "x": 1}', "application/json", 422, "x"),
    (b'{"name": "A", "endpoint_value": "+15551230001", "tier": "0"}', "application/json", 422, "tier"),
    (b'{"name": 7, "endpoint_value": "+15551230001"}', "application/json", 422, "name"),
    (b'{"name": "A", "endpoint_value": {"$ne": 1}}', "application/json", 422, "endpoint_value"),
    (b"[]", "application/json", 422, "body"),
    (b"", "application/json", 422, "body"),
    (b'{"name": ', "application/json", 422, "body"),
    (b'{"name": "\xff"}', "application/json", 422, "body"),
    (b'{"name": "A", "notes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 422, "body"),
    (b'{"name": "A", "filters": ' + b"[" * 50 + b"]" * 50 + b"}", "application/json", 422, "filters" + ".0" * 21),
    (b'{"name": "A"}', "text/plain", 415, "request"),
    (b'{"name": "' + b"A" * 1_100_000 + b'"}', "application/json", 413, "request"),
    (b'{"name": "A", "endpoint_value": "+15551230001", "daily_cap": 1e999}', "application/json", 422, "body"),
    (
        b'{"name": "A", "endpoint_value": "+15551230001", "daily_cap": 99999999999999}',
        "application/json",
        422,
        "daily_cap",
    ),
]


@pytest.mark.parametrize(("body", "kind", "status", "field"), BAD_BODIES)
async def test_bad_bodies(client: Client, body: bytes, kind: str, status: int, field: str):
    response = await client.post("/api/buyers", data=io.BytesIO(body), headers={"Content-Type": kind})
    assert (await fault(response))[:2] == (status, field)
    assert (await (await client.get("/api/buyers")).json())["total"] == 0


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/buyers?nope=1", 400, "nope"),
        ("/api/buyers?filters[nope]=1", 400, "nope"),
        ("/api/buyers?limit=ten", 422, "limit"),
        ("/api/buyers?sort_order=up", 422, "sort_order"),
        ("/api/calls?status=FINE", 422, "status"),
        ("/api/calls?nope=1", 400, "nope"),
        ("/api/calls/unknown", 404, "call"),
        ("/api/nothing", 404, "request"),
    ],
)
async def test_bad_paths(client: Client, path: str, status: int, field: str):
    assert (await fault(await client.get(path)))[:2] == (status, field)


async def test_a_method_that_is_not_there(client: Client):
    response = await client.put("/api/buyers", json={})
    assert (await fault(response))[0] == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer dcx_wrong", "Basic abc", "Bearer " + "x" * 5000])
async def test_a_key_is_needed(client: Client, header: str):
    response = await client.get("/api/buyers", headers={"Authorization": header})
    assert (await fault(response))[:2] == (401, "Authorization")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_keys_are_shown_once_kept_as_hash_and_revoked_at_once(client: Client, db: Database):
    made = await (await client.post("/api/api-keys", json={"name": "robot", "role": "viewer"})).json()
    secret = made["key"]
    assert secret.startswith("dcx_")
    assert secret not in await (await client.get("/api/api-keys")).text()
    assert secret.encode() not in Path(db.where).read_bytes()
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/api/buyers", headers=headers)).status == 200
    assert (await fault(await client.post("/api/campaigns", json={"name": "C"}, headers=headers)))[0] == 403
    assert (await fault(await client.get("/api/api-keys", headers=headers)))[0] == 403
    assert (await client.delete("/api/api-keys/robot")).status == 204
    assert (await client.get("/api/buyers", headers=headers)).status == 401


async def test_health_ready_metrics(client: Client, reasons: list[str | None]):
    plain = {"Authorization": ""}
    assert (await client.get("/health", headers=plain)).status == 200
    assert (await client.get("/ready", headers=plain)).status == 200
    reasons.append("ARI is not connected")
    response = await client.get("/ready", headers=plain)
    assert (response.status, (await response.json())["reason"]) == (503, "ARI is not connected")
    metrics = await (await client.get("/metrics", headers=plain)).text()
    assert 'dcx_http_request_seconds_count{method="GET",route="/ready",status="503"} 1.0' in metrics


async def test_a_locked_database_is_told_and_passes(client: Client, db: Database):
    async with db.write():
        response = await client.post("/api/campaigns", json={"name": "C"})
        status, field, rule = await fault(response)
    assert (status, field, response.headers["Retry-After"]) == (503, "database", "1")
    assert "locked" in rule
    assert (await client.post("/api/campaigns", json={"name": "C"})).status == 201


async def test_an_unforeseen_error_has_an_id_and_no_traceback(db: Database, caplog: pytest.LogCaptureFixture):
    async def broken(_request: web.Request) -> web.Response:
        raise ZeroDivisionError("inner detail")

    app = make_app(db, more=[lambda a: a.router.add_get("/broken", broken) and None])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/broken", headers={"X-Request-Id": "mine-1"})
        text = await response.text()
    assert (response.status, response.headers["X-Request-Id"]) == (500, "mine-1")
    assert "inner detail" not in text
    assert "mine-1" in caplog.text


async def test_the_call_log(client: Client, db: Database):
    await client.post("/api/buyers", json={"name": "A", "endpoint_value": A})
    async with db.write() as session:
        for n in range(4):
            status = ("COMPLETED", "BUSY", "RINGING", "COMPLETED")[n]
            ended = None if status == "RINGING" else 2_000 + n
            call = Call(
                id=f"call{n}xyz", started_at=1_000 + n // 2, status=status, caller=f"+1555123000{n}", ended_at=ended
            )
            call.buyer_id = 1 if n == 0 else 77 if n == 1 else None
            session.add(call)
        await session.flush()
        session.add(Leg(id="call0xyz.leg1", call_id="call0xyz", buyer_id=1, dialled_at=1_500, result="answered"))
        session.add(CallEvent(call_id="call0xyz", at=1_200, seq=1, kind="stage", data={"stage": "menu"}))
        session.add(Recording(id="call0xyz.rec1", call_id="call0xyz", path="recordings/x.wav"))

    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await (await client.get(f"/api/calls?{query}")).json())["data"]]

    assert await ids("") == ["call3xyz", "call2xyz", "call1xyz", "call0xyz"]
    first = await (await client.get("/api/calls?limit=3")).json()
    assert await ids(f"limit=3&cursor={first['next_cursor']}") == ["call0xyz"]
    assert await ids("status=completed,busy") == ["call3xyz", "call1xyz", "call0xyz"]
    assert await ids("buyer=A") == ["call0xyz"]
    assert await ids("buyer=77") == ["call1xyz"]
    assert await ids("in_progress=true") == ["call2xyz"]
    assert await ids("completed=false&status=BUSY,FAILED") == ["call1xyz"]
    assert await ids(f"caller={A}") == ["call1xyz"]
    assert await ids("date=1969-12-31") == await ids("")  # in New York
    assert await ids("date_from=1971-01-01") == []
    shown: dict[str, Any] = await (await client.get("/api/calls/call0xyz")).json()
    assert (shown["buyer"], shown["legs"][0]["buyer"], shown["legs"][0]["result"]) == ("A", "A", "answered")
    assert (shown["events"][0]["data"], shown["recordings"][0]["path"]) == ({"stage": "menu"}, "recordings/x.wav")
    assert shown["started_at"] == "1970-01-01T00:00:01.000Z"
