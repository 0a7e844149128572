"""A POST that is sent twice under one key is carried out once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from access_kit import Client, fault, key_of
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from rows_kit import listed, migrated, opened
from sqlalchemy import update
from sqlmodel import select

from dcx_ari.api.app import make_app
from dcx_ari.api.context import answer, writing
from dcx_ari.api.idempotency import REPLAYED, keep_no_answer
from dcx_ari.api.routes import Route, declare
from dcx_ari.clock import now_ms
from dcx_ari.services import idempotency, rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_ari.store.models import IdempotencyKey

pytestmark = [pytest.mark.unit, pytest.mark.databases]
BODY = {"name": "C"}
KEY = {"Idempotency-Key": "a1"}


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        yield database


class Slow:
    """Routes that wait, fail late or tell a secret."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    def add_routes(self, app: web.Application) -> None:
        declare(app, [self._route(name, getattr(self, name)) for name in ("slow", "late", "secret", "gone")])

    def _route(self, name: str, handler: object) -> Route:
        return Route(
            method="POST", path=f"/api/{name}", handler=handler, summary="", permission="campaigns.write", tag="t"
        )

    async def slow(self, request: web.Request) -> web.Response:
        self.begun.set()
        await self.go_on.wait()
        return await self._made(request, "slow")

    async def late(self, request: web.Request) -> web.Response:
        await self._made(request, "late")
        raise ZeroDivisionError

    async def secret(self, request: web.Request) -> web.Response:
        keep_no_answer(request)
        return await self._made(request, "hunter2")

    async def gone(self, _request: web.Request) -> web.Response:
        raise ZeroDivisionError

    async def _made(self, request: web.Request, name: str) -> web.Response:
        async with writing(request) as session:
            return answer(await rows.create(session, RESOURCES["campaigns"], {"name": name}), 201)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def client(db: Database, slow: Slow) -> AsyncIterator[Client]:
    headers = await key_of(db, "tests")
    async with TestClient(TestServer(make_app(db, more=[slow.add_routes])), headers=headers) as made:
        yield made


async def test_the_same_request_is_answered_the_same(client: Client, db: Database):
    first = await client.post("/api/campaigns", json=BODY, headers=KEY)
    again = await client.post("/api/campaigns", json=BODY, headers={"Idempotency-Key": '"a1"'})
    assert (first.status, again.status) == (201, 201)
    assert await first.read() == await again.read()
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == again.headers[name]
    assert (await listed(db, "campaigns")).total == 1


async def test_a_key_stands_for_one_request(client: Client, db: Database):
    await client.post("/api/campaigns", json=BODY, headers=KEY)
    for path, body in (("/api/campaigns", {"name": "D"}), ("/api/campaigns?x=1", BODY), ("/api/sources", BODY)):
        assert (await fault(await client.post(path, json=body, headers=KEY)))[:2] == (422, "Idempotency-Key")
    assert (await listed(db, "campaigns")).total == 1


async def test_each_holder_has_keys_of_his_own(client: Client, db: Database):
    other = await key_of(db, "other")
    assert (await client.post("/api/campaigns", json=BODY, headers=KEY)).status == 201
    assert (await client.post("/api/campaigns", json={"name": "D"}, headers={**other, **KEY})).status == 201


async def test_a_replay_needs_the_permission_too(client: Client, db: Database):
    viewer = await key_of(db, "viewer", "viewer")
    assert (await client.post("/api/campaigns", json=BODY, headers={**viewer, **KEY})).status == 403
    async with db.read() as session:
        assert (await session.exec(select(IdempotencyKey))).all() == []


async def test_what_was_refused_may_be_sent_again(client: Client):
    assert (await client.post("/api/numbers", json={"phone_number": "5"}, headers=KEY)).status == 422
    again = await client.post("/api/numbers", json={"phone_number": "+15551230001"}, headers=KEY)
    assert (again.status, REPLAYED in again.headers) == (201, False)


async def test_while_the_first_is_worked_on_the_second_is_told_to_wait(client: Client, slow: Slow, db: Database):
    first = asyncio.create_task(client.post("/api/slow", headers=KEY))
    await slow.begun.wait()
    assert (await fault(await client.post("/api/slow", headers=KEY)))[:2] == (409, "Idempotency-Key")
    slow.go_on.set()
    assert (await first).status == 201
    assert (await client.post("/api/slow", headers=KEY)).headers[REPLAYED] == "true"
    assert (await listed(db, "campaigns")).total == 1


async def test_what_was_committed_is_not_done_twice_though_its_answer_is_lost(client: Client, db: Database):
    assert (await client.post("/api/late", headers=KEY)).status == 500
    status, _, rule = await fault(await client.post("/api/late", headers=KEY))
    assert (status, "was carried out" in rule) == (409, True)
    assert (await listed(db, "campaigns")).total == 1


async def test_what_failed_before_it_changed_anything_may_be_tried_again(client: Client):
    for _ in range(2):
        assert (await client.post("/api/gone", headers=KEY)).status == 500


async def test_a_secret_is_answered_once_and_not_kept(client: Client, db: Database):
    assert (await client.post("/api/secret", headers=KEY)).status == 201
    assert (await fault(await client.post("/api/secret", headers=KEY)))[0] == 409
    async with db.read() as session:
        (kept,) = (await session.exec(select(IdempotencyKey))).all()
    assert (kept.status, kept.body) == (201, None)


async def test_a_key_is_forgotten_after_a_day(client: Client, db: Database):
    await client.post("/api/campaigns", json=BODY, headers=KEY)
    async with db.write() as session:
        await session.exec(update(IdempotencyKey).values(created_at=now_ms() - idempotency.KEPT_MS - 1))
    again = await client.post("/api/campaigns", json={"name": "D"}, headers=KEY)
    assert (again.status, REPLAYED in again.headers) == (201, False)


async def test_a_dead_process_does_not_hold_a_key_for_ever(client: Client, db: Database):
    headers = {"Idempotency-Key": "dead"}
    claimed = await idempotency.claim(db, "key:1", "dead", "another")
    async with db.write() as session:
        await session.exec(update(IdempotencyKey).values(created_at=now_ms() - idempotency.ABANDONED_MS - 1))
    assert (await client.post("/api/campaigns", json=BODY, headers=headers)).status == 201
    assert isinstance(claimed, idempotency.Claim)

    async def late() -> None:
        async with db.write() as session:
            await rows.create(session, RESOURCES["campaigns"], {"name": "late"})
            await idempotency.done(session, claimed)

    with pytest.raises(idempotency.Conflict, match="taken over"):
        await late()
    assert (await listed(db, "campaigns", name="late")).total == 0


async def test_keys_that_cannot_be(client: Client):
    for key in ("", '""', "x" * 256, "é", "a\tb"):
        response = await client.post("/api/campaigns", json=BODY, headers={"Idempotency-Key": key})
        assert (await fault(response))[:2] == (422, "Idempotency-Key"), key


async def test_an_upload_has_no_key(client: Client):
    form = FormData()
    form.add_field("file", b"name\nA\n", filename="a.csv", content_type="text/csv")
    response = await client.post("/api/campaigns", data=form, headers=KEY)
    assert (await fault(response))[:2] == (422, "Idempotency-Key")


async def test_other_methods_take_no_notice(client: Client):
    await client.post("/api/campaigns", json=BODY)
    for vertical in ("A", "B"):
        response = await client.patch("/api/campaigns/C", json={"vertical": vertical}, headers=KEY)
        assert (await response.json())["vertical"] == vertical


async def test_keys_that_are_shown_once_are_not_written_down(client: Client, db: Database):
    await client.post("/api/campaigns", json=BODY)
    for path, body in (
        ("/api/api-keys", {"name": "robot", "role": "viewer"}),
        ("/api/api-keys/robot/rotate", {}),
        ("/api/campaigns/C/regenerate-keys", {}),
        ("/api/webhooks", {"url": "https://1.1.1.1/hook", "events": ["call.completed"]}),
        ("/api/team-members/invite", {"email": "ann@example.com", "role": "viewer"}),
    ):
        response = await client.post(path, json=body, headers={"Idempotency-Key": path})
        assert response.status in (200, 201), (path, await response.text())
        async with db.read() as session:
            kept = await session.get(IdempotencyKey, ("key:1", path))
        assert kept is not None
        assert (kept.state, kept.body) == ("answered", None), path
