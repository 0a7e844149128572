"""Buyers' postbacks over HTTP: no API key but a signature, and the statuses of what is refused."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from decided import CALLER, NOON, NUMBER, fill
from sqlmodel import col, select

from dcx_ari.api import postbacks
from dcx_ari.api.app import make_app
from dcx_ari.call.ports import Inbound
from dcx_ari.decide.postback import sign
from dcx_ari.services import webhooks
from dcx_ari.services.postbacks import receive
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.journal import Journal, Statement
from dcx_ari.store.ledger import Ledger, open_ledger
from dcx_ari.store.models import Call, OutboxRow

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
NAME, SECRET = "abc", "secret"
NOW = NOON + 60_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    row = {"dialled": NUMBER, "caller": CALLER, "started_at": NOON, "buyer_id": 1}
    async with opened.write() as session:
        session.add(Call(id="sold", postback_key=f"{NAME}.{SECRET}", **row))
        session.add(Call(id="test", postback_key="tst.secret", test=True, **row))
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, db: Database) -> AsyncIterator[Ledger]:
    ledger = open_ledger(f"sqlite:///{tmp_path}/dcx.db", worker="tests")
    yield ledger
    assert await ledger.verify() == []
    await ledger.close()


@pytest.fixture
async def client(db: Database, ledger: Ledger) -> AsyncIterator[Client]:
    routes = postbacks.routes(lambda name, signature, body: receive(db, ledger, name, signature, body, NOW))
    async with TestClient(TestServer(make_app(db, more=[routes]))) as made:
        yield made


async def post(
    client: Client,
    *,
    name: str = NAME,
    secret: str = SECRET,
    raw: bytes | None = None,
    header: str | None = None,
    signed_s: int = NOW // 1000,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    body = {"id": "r1", "amount_cents": 1200, "currency": "USD", "at": NOW, **more}
    data = json.dumps(body).encode() if raw is None else raw
    signature = sign(secret.encode(), data, signed_s) if header is None else header
    answer = await client.post(f"/api/postbacks/{name}", data=data, headers={postbacks.HEADER: signature})
    return answer.status, await answer.json()


async def test_booked_repeated_and_adjusted(client: Client, ledger: Ledger) -> None:
    status, body = await post(client)
    booked = {"status": "booked", "call_id": "sold", "revenue_cents": 1200, "late": False, "over_cap": False}
    assert (status, body) == (200, booked)
    status, body = await post(client, amount_cents=5)
    assert (status, body["status"], body["revenue_cents"]) == (200, "repeated", 1200)
    status, body = await post(client, id="r2", at=NOW + 1, amount_cents=900)
    assert (status, body["status"], body["revenue_cents"]) == (200, "adjusted", 900)
    assert (await ledger.sums("sold")).revenue_cents == 900


async def test_what_is_booked_is_told_once(client: Client, db: Database) -> None:
    async with db.write() as session:
        row, _ = await webhooks.create(session, webhooks.SafeUrl("https://example.com/"), ["call.converted"])
    await post(client)
    await post(client, amount_cents=5)  # the same report again
    await post(client, id="r2", at=NOW + 1, amount_cents=900)
    await post(client, id="r3", currency="EUR")
    async with db.read() as session:
        found = (await session.exec(select(OutboxRow).order_by(col(OutboxRow.seq)))).all()
    told = [json.loads(row.payload)["data"] for row in found]
    assert [(each["call_id"], each["buyer_id"], each["revenue_cents"]) for each in told] == [
        ("sold", 1, 1200),
        ("sold", 1, 900),
    ]
    assert {each.order_key for each in found} == {f"sold/{row['id']}"}


@pytest.mark.parametrize(
    ("wrong", "status", "field", "rule"),
    [
        ({"secret": "other"}, 401, "postback", "signature_wrong"),
        ({"header": ""}, 401, "postback", "signature_missing"),
        ({"signed_s": NOW // 1000 - 301}, 401, "postback", "signature_expired"),
        ({"name": "nobody"}, 404, "postback", "unknown_call"),
        ({"name": "ab"}, 404, "postback", "unknown_call"),
        ({"name": "tst"}, 409, "postback", "test_call"),
        ({"currency": "EUR"}, 422, "currency", "wrong_currency"),
        ({"amount_cents": -1}, 422, "amount_cents", "negative"),
        ({"amount_cents": 1_000_001}, 422, "amount_cents", "absurd"),
        ({"amount_cents": 1.5}, 422, "amount_cents", "invalid"),
        ({"id": ""}, 422, "id", "invalid"),
        ({"raw": b"{"}, 400, "postback", "not_json"),
        ({"raw": b" " * 20_000}, 413, "postback", "too_large"),
    ],
)
async def test_refused_with_nothing_booked(
    client: Client,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, Any],
    status: int,
    field: str,
    rule: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        found, body = await post(client, **wrong)
    assert (found, body["error"]["field"], body["error"]["rule"]) == (status, field, rule)
    assert rule in caplog.text
    assert SECRET not in caplog.text
    assert (await ledger.sums("sold")).revenue_cents == 0


async def test_a_huge_body_and_another_method(client: Client) -> None:
    huge = await client.post(f"/api/postbacks/{NAME}", data=io.BytesIO(b" " * 2_000_000))
    assert huge.status == 413
    assert (await client.get(f"/api/postbacks/{NAME}")).status == 405
    assert (await client.get("/api/calls")).status == 401  # the rest stays closed


async def test_every_call_gets_a_key_that_is_found(db: Database, ledger: Ledger, client: Client) -> None:
    written: list[Statement] = []

    async def commit(statements: Any) -> None:
        written.extend(statements)

    journal = Journal(commit, "dcx-0")
    for n in range(2):
        journal.opened(f"call{n}", Inbound("1.1", NUMBER, CALLER, "", {}), NOON)
    await journal.durable()
    ((statement, rows),) = written
    names = statement.partition("(")[2].partition(")")[0].split(", ")
    keys = [dict(zip(names, row, strict=True))["postback_key"] for row in rows]
    assert len({key.partition(".")[0] for key in keys}) == len({key.partition(".")[2] for key in keys}) == 2
    async with db.write() as session:
        session.add(Call(id="made", postback_key=keys[0], started_at=NOON, buyer_id=1))
    name, _, secret = keys[0].partition(".")
    assert (await post(client, name=name, secret=secret))[0] == 200
