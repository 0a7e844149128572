"""The outbox: written once, delivered in order, tried again, given up; to a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from outbox_kit import CALL, NOON, Outbox, Receiver, receiver

from dcx_ari.decide.backoff import DELAYS_S
from dcx_ari.outbox import DISABLE_AFTER_MS, PER_ENDPOINT
from dcx_ari.services import outbox as people
from dcx_ari.services import webhooks
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.models import ConfigVersion
from dcx_ari.store.outbox import MAX_PAYLOAD, TooLarge, put
from tests.unit.rows_kit import migrated, opened

pytestmark = [pytest.mark.unit, pytest.mark.databases]
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    async with opened(template, tmp_path) as made:
        yield made


@pytest.fixture
def outbox(db: Database) -> Outbox:
    return Outbox(db)


@pytest.fixture
async def far() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


# -- writing ------------------------------------------------------------------------------------------------


async def test_a_row_shares_the_fate_of_its_transaction(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")

    async def fails() -> None:
        async with outbox.database.write() as session:
            assert await put(session, "webhook", {}, endpoint_id=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await outbox.rows() == []
    assert not outbox.database.told.is_set()
    await outbox.tell()
    assert len(await outbox.rows()) == 1
    assert outbox.database.told.is_set()


async def test_only_what_is_subscribed_is_written(outbox: Outbox, far: Receiver):
    assert await outbox.tell("call.started") == 0
    first, _ = await outbox.endpoint(far.url, "call.started")
    second, _ = await outbox.endpoint(far.url, "call.*", "buyer.paused")
    paused, _ = await outbox.endpoint(far.url, "*")
    async with outbox.database.write() as session:
        await webhooks.set_paused(session, paused, True)
    assert await outbox.tell("call.started") == 2
    assert await outbox.tell("call.ringing") == 1
    assert await outbox.tell("cap.reached", {"scope": "buyer"}) == 0
    assert [row.endpoint_id for row in await outbox.rows()] == [first, second, second]
    with pytest.raises(KeyError):
        await outbox.tell("call.unheard")


async def test_a_dedupe_key_is_written_once_for_each_receiver(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    await outbox.endpoint(far.url, "*")
    assert [await outbox.tell(dedupe_key="c1/start") for _ in range(3)] == [2, 0, 0]
    async with outbox.database.write() as session:
        assert await put(session, "email", {}, dedupe_key="once")
        assert await put(session, "email", {}, dedupe_key="once") is None
        assert await put(session, "email", {})
        assert await put(session, "email", {})


async def test_a_row_has_a_size(outbox: Outbox):
    with pytest.raises(TooLarge):
        async with outbox.database.write() as session:
            await put(session, "email", {"text": "x" * MAX_PAYLOAD})


# -- delivering ---------------------------------------------------------------------------------------------


async def test_a_webhook_arrives_signed_and_is_written_down(outbox: Outbox, far: Receiver):
    endpoint, secret = await outbox.endpoint(far.url, "call.started")
    far.answers = [web.Response(status=202, text="thanks")]
    await outbox.tell(call_id="c1")
    await outbox.deliver()
    [got], [row] = far.got, await outbox.rows()
    assert got.verified(secret) == {"type": "call.started", "timestamp": "2027-01-15T08:00:00.000Z", "data": CALL}
    assert got.headers["content-type"] == "application/json"
    assert got.id == row.id
    assert "." not in got.id
    assert (row.state, row.attempts, row.last_status, row.endpoint_id) == ("delivered", 1, 202, endpoint)
    async with outbox.database.read() as session:
        shown = await people.get(session, row.id)
    assert [(each["status"], each["answer"], each["error"]) for each in shown["tries"]] == [(202, "thanks", None)]
    assert shown["payload"] == json.loads(got.body)
    await outbox.deliver(DAY_MS)
    assert len(far.got) == 1


async def test_what_fails_is_sent_again_the_same_until_it_is_dead(outbox: Outbox, far: Receiver):
    _, secret = await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=500, text="no")]
    await outbox.tell()
    await outbox.deliver()
    for delay_s in DELAYS_S:
        assert await outbox.states() == ["pending"]
        await outbox.deliver(delay_s * 1000 - 1_000)
        before = len(far.got)
        await outbox.deliver(5_000)  # the answer took some milliseconds, which count
        assert len(far.got) == before + 1
    assert len(far.got) == len(DELAYS_S) + 1
    [row] = await outbox.rows()
    assert (row.state, row.attempts, row.last_error) == ("dead", 10, "answered 500")
    assert len({got.id for got in far.got}) == len({got.body for got in far.got}) == 1
    stamps = [int(got.headers["webhook-timestamp"]) for got in far.got]
    assert stamps == sorted(set(stamps))  # each attempt is signed anew
    for got in far.got:
        got.verified(secret)


async def test_one_that_recovers_is_delivered(outbox: Outbox, far: Receiver):
    endpoint, _ = await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=503), web.Response(status=200)]
    await outbox.tell()
    await outbox.deliver()
    assert (await outbox.stored(endpoint)).failing_since == NOON
    await outbox.deliver(6_000)
    assert await outbox.states() == ["delivered"]
    assert (await outbox.stored(endpoint)).failing_since is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404])
async def test_only_two_hundreds_are_a_success(outbox: Outbox, far: Receiver, status: int):
    await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=status, headers={"Location": far.url})]
    await outbox.tell()
    await outbox.deliver()
    assert await outbox.states() == ["pending"]
    assert len(far.got) == 1


async def test_the_calls_events_keep_their_order_at_each_endpoint(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    events = ["call.started", "call.ringing", "call.answered", "call.completed"]
    far.answers = [web.Response(status=500), web.Response(status=200)]
    for event in events:
        await outbox.tell(event, order_key="c1")
    await outbox.tell("call.started", order_key="c2")
    await outbox.deliver()
    assert [got.event for got in far.got] == ["call.started", "call.started"]  # of both calls; the rest of c1 waits
    assert (await outbox.states()).count("pending") == 4
    await outbox.deliver(6_000)
    assert [got.event for got in far.got][2:] == events
    assert await outbox.states() == ["delivered"] * 5


async def test_one_endpoint_does_not_hold_up_the_other(outbox: Outbox, far: Receiver):
    async with receiver() as broken:
        broken.answers = [web.Response(status=500)]
        await outbox.endpoint(broken.url, "*")
        await outbox.endpoint(far.url, "*")
        for event in ("call.started", "call.completed"):
            await outbox.tell(event, order_key="c1")
        await outbox.deliver()
        assert [got.event for got in broken.got] == ["call.started"]
    assert [got.event for got in far.got] == ["call.started", "call.completed"]


async def test_after_one_has_died_the_next_goes(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=500)]
    await outbox.tell("call.started", order_key="c1")
    await outbox.tell("call.completed", order_key="c1")
    for delay_s in (0, *DELAYS_S):
        await outbox.deliver(delay_s * 1300)
    assert await outbox.states() == ["dead", "pending"]
    assert far.got[-1].event == "call.completed"


async def test_a_receiver_that_asks_for_time_gets_it(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=429, headers={"Retry-After": "600"}), web.Response(status=200)]
    await outbox.tell(order_key="c1")
    await outbox.deliver()
    await outbox.tell(order_key="c2")
    await outbox.deliver(500_000)
    assert len(far.got) == 1
    await outbox.deliver(120_000)
    assert await outbox.states() == ["delivered"] * 2


async def test_gone_is_gone(outbox: Outbox, far: Receiver):
    """410 switches the endpoint off, the configuration counts up, others are told, and nothing more is written."""
    async with receiver() as other:
        endpoint, _ = await outbox.endpoint(far.url, "call.*")
        await outbox.endpoint(other.url, "endpoint.disabled")
        far.answers = [web.Response(status=410)]
        await outbox.tell()
        async with outbox.database.read() as session:
            before = await session.get_one(ConfigVersion, 1)
        await outbox.deliver()
        [got] = other.got
    row = await outbox.stored(endpoint)
    assert (row.status, "410" in (row.disabled_reason or "")) == ("INACTIVE", True)
    assert json.loads(got.body)["data"]["url"] == far.url
    async with outbox.database.read() as session:
        assert (await session.get_one(ConfigVersion, 1)).version == before.version + 1
    assert await outbox.tell() == 0


async def test_an_endpoint_that_fails_for_days_is_switched_off_and_can_be_resumed(outbox: Outbox, far: Receiver):
    endpoint, _ = await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=500)]
    await outbox.tell(order_key="c1")
    await outbox.deliver()
    outbox.now = NOON + DISABLE_AFTER_MS - 1_000
    await outbox.deliver()
    assert (await outbox.stored(endpoint)).status == "ACTIVE"
    await outbox.tell(order_key="c2")
    await outbox.deliver(2_000)
    row = await outbox.stored(endpoint)
    assert (row.status, "5 days" in (row.disabled_reason or "")) == ("INACTIVE", True)
    sent = len(far.got)
    await outbox.deliver(DAY_MS)
    assert len(far.got) == sent  # what waits, waits
    far.answers = [web.Response(status=200)]
    async with outbox.database.write() as session:
        shown = await webhooks.set_paused(session, endpoint, False)
    assert (shown["status"], shown["disabled_reason"], shown["failing_since"]) == ("ACTIVE", None, None)
    await outbox.deliver()
    assert await outbox.states() == ["delivered"] * 2


async def test_a_removed_endpoint_takes_its_messages_with_it(outbox: Outbox, far: Receiver):
    endpoint, _ = await outbox.endpoint(far.url, "*")
    await outbox.tell()
    async with outbox.database.write() as session:
        await webhooks.remove(session, endpoint)
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, row.last_error) == ("dead", "its endpoint was removed")
    assert far.got == []


async def test_both_secrets_sign_while_one_replaces_the_other(outbox: Outbox, far: Receiver):
    endpoint, old = await outbox.endpoint(far.url, "*")
    async with outbox.database.write() as session:
        shown, new = await webhooks.rotate(session, endpoint, 3600)
    assert shown["old_secret_works_until"] is not None
    row = await outbox.stored(endpoint)
    outbox.now = (row.old_until or 0) - 1
    await outbox.tell()
    await outbox.deliver()
    far.got[0].verified(old)
    far.got[0].verified(new)
    await outbox.tell()
    await outbox.deliver(2)
    far.got[1].verified(new)
    with pytest.raises(AssertionError):
        far.got[1].verified(old)


async def test_an_address_that_has_become_forbidden_is_not_connected_to(outbox: Outbox, far: Receiver):
    async with outbox.database.write() as session:
        await webhooks.create(session, webhooks.SafeUrl(far.url.replace("127.0.0.1", "169.254.169.254")), ["*"])
    await outbox.tell()
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, "must not lead to a private" in (row.last_error or "")) == ("pending", True)


async def test_few_at_once_to_one_endpoint(outbox: Outbox, far: Receiver):
    """A slow receiver has a few requests open, however many wait; they all arrive."""
    open_now, begun = 0, []
    gate = asyncio.Event()

    async def slowly(request: web.Request) -> web.Response:
        nonlocal open_now
        open_now += 1
        begun.append(len(outbox.deliverer._tasks))
        if open_now == PER_ENDPOINT:
            gate.set()
        await gate.wait()
        return await far.handle(request)

    app = web.Application()
    app.router.add_post("/hook", slowly)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        await outbox.endpoint(f"http://127.0.0.1:{port}/hook", "*")
        for number in range(20):
            await outbox.tell(order_key=f"c{number}")
        async with asyncio.timeout(30):
            await outbox.deliver()
    finally:
        await runner.cleanup()
    assert max(begun) == PER_ENDPOINT
    assert len(far.got) == 20
    assert await outbox.states() == ["delivered"] * 20


# -- the standing work --------------------------------------------------------------------------------------


async def until(far: Receiver, count: int) -> None:
    async with asyncio.timeout(30):
        while len(far.got) < count:  # a server in this loop fills it
            await asyncio.sleep(0.005)


async def test_it_wakes_for_what_is_written_here_and_stops_with_everything_written_down(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    running = asyncio.create_task(outbox.deliverer.run())
    await outbox.tell()
    await until(far, 1)
    await outbox.tell()
    await until(far, 2)
    running.cancel()
    await asyncio.wait([running])
    assert await outbox.states() == ["delivered"] * 2


@pytest.mark.sqlite_only
async def test_a_database_that_is_locked_is_waited_for(db: Database, far: Receiver, tmp_path: Path):
    """What was delivered is not sent again only because it could not be written down at once."""
    impatient = open_database(f"sqlite:///{tmp_path}/dcx.db", busy_timeout_ms=1)
    outbox = Outbox(impatient)
    await outbox.endpoint(far.url, "*")
    await outbox.tell()
    async with db.write_connection():
        running = asyncio.create_task(outbox.deliverer.run())
        await until(far, 1)
        assert await outbox.states() == ["pending"]
    async with asyncio.timeout(30):
        while await outbox.states() != ["delivered"]:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert len(far.got) == 1
    await impatient.close()
