"""The outbox as people meet it: lines in Slack, what they try again or let go, what the doctor says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from outbox_kit import NOON, Outbox, Receiver, receiver

from dcx_ari.services import outbox as people
from dcx_ari.services import outbox_check
from dcx_ari.services.errors import Conflict, Invalid, NotFound, UnknownKey
from dcx_ari.settings import read_settings
from dcx_ari.store import deliveries
from dcx_ari.store.db import Database
from dcx_ari.store.models import JobRun
from dcx_ari.store.outbox import put
from tests.unit.rows_kit import migrated, opened

pytestmark = [pytest.mark.unit, pytest.mark.databases]


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


# -- Slack --------------------------------------------------------------------------------------------------


async def test_slack_gets_one_line_a_second(outbox: Outbox, far: Receiver):
    endpoint, secret = await outbox.endpoint(far.url, "buyer.paused", kind="slack")
    assert secret == ""
    assert (await outbox.stored(endpoint)).url == "http://127.0.0.1/"  # the URL is the secret: see what is shown
    far.answers = [web.Response(text="ok")]
    for name in ("A <!channel> & B", "C"):
        await outbox.tell("buyer.paused", {"buyer_id": 1, "name": name, "reason": ""})
    await outbox.deliver()
    assert [json.loads(got.body) for got in far.got] == [{"text": "Buyer A &lt;!channel&gt; &amp; B was paused"}]
    await outbox.deliver(1_001)
    assert await outbox.states() == ["delivered"] * 2


@pytest.mark.parametrize(
    ("status", "state", "endpoint_status"),
    [(400, "dead", "ACTIVE"), (403, "dead", "INACTIVE"), (404, "dead", "INACTIVE"), (500, "pending", "ACTIVE")],
)
async def test_slack_says_what_it_will_never_take(
    outbox: Outbox, far: Receiver, status: int, state: str, endpoint_status: str
):
    endpoint, _ = await outbox.endpoint(far.url, "*", kind="slack")
    far.answers = [web.Response(status=status, text="invalid_payload")]
    await outbox.tell()
    await outbox.deliver()
    assert await outbox.states() == [state]
    assert (await outbox.stored(endpoint)).status == endpoint_status


# -- people -------------------------------------------------------------------------------------------------


async def test_retry_and_discard(outbox: Outbox, far: Receiver):
    endpoint, _ = await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=500)]
    await outbox.tell(order_key="c1", call_id="c1")
    await outbox.tell(order_key="c1", call_id="c1")
    await outbox.deliver()
    first, second = (row.id for row in await outbox.rows())
    async with outbox.database.write() as session:
        assert (await people.discard(session, first))["state"] == "discarded"
        with pytest.raises(Conflict):
            await people.discard(session, first)
        with pytest.raises(NotFound):
            await people.retry(session, "msg_none")
    far.answers = [web.Response(status=200)]
    await outbox.deliver()
    assert await outbox.states() == ["discarded", "delivered"]
    async with outbox.database.write() as session:
        await people.retry(session, second)
    outbox.now = max(row.next_at for row in await outbox.rows())
    await outbox.deliver()
    assert [got.id for got in far.got] == [first, second, second]
    async with outbox.database.read() as session:
        page = await people.list_messages(session, {"endpoint_id": [str(endpoint)], "call_id": ["c1"]}, limit=1)
        rest = await people.list_messages(session, {}, limit=1, cursor=page.next_cursor)
        with pytest.raises(UnknownKey):
            await people.list_messages(session, {"payload": ["x"]})
        with pytest.raises(Invalid):
            await people.list_messages(session, {"state": ["lost"]})
    assert (page.total, [row["id"] for row in page.items], [row["id"] for row in rest.items]) == (2, [second], [first])


async def test_what_a_person_discards_while_it_is_sent_stays_discarded(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    await outbox.tell()
    [row] = await outbox.rows()
    [due] = await deliveries.due_rows(outbox.database, NOON, 10)
    async with outbox.database.write() as session:
        await people.discard(session, row.id)
        done = deliveries.Done(row=due, at=NOON, state="delivered", status=200)
        await deliveries.record(await session.connection(), [done])
    assert await outbox.states() == ["discarded"]


async def test_all_dead_ones_again(outbox: Outbox, far: Receiver):
    endpoint, _ = await outbox.endpoint(far.url, "*")
    await outbox.endpoint(far.url, "*")
    await outbox.tell()
    async with outbox.database.write() as session:
        assert await deliveries.end_stale(session, NOON + 1, NOON) == 2
        assert await people.counts(session) == {"pending": 0, "delivered": 0, "dead": 2, "discarded": 0}
        assert await people.retry_dead(session, endpoint_id=endpoint) == 1
        assert await people.retry_dead(session) == 1
    assert await outbox.states() == ["pending"] * 2


async def test_old_rows_go_with_their_attempts(outbox: Outbox, far: Receiver):
    await outbox.endpoint(far.url, "*")
    await outbox.tell()
    await outbox.deliver()
    await outbox.tell()
    async with outbox.database.write() as session:
        assert await deliveries.purge(session, outbox.now + 60_000) == 1
    assert await outbox.states() == ["pending"]


# -- the doctor ---------------------------------------------------------------------------------------------


async def test_the_doctor_says_what_does_not_go_out(outbox: Outbox, far: Receiver, tmp_path: Path):
    settings = read_settings({}, home=str(tmp_path))
    assert [finding.text for finding in await outbox_check.outbox(settings)] == ["everything was delivered"]
    endpoint, _ = await outbox.endpoint(far.url, "*")
    far.answers = [web.Response(status=410)]
    await outbox.tell()
    await outbox.deliver()
    outbox.now = 1_000  # long ago
    async with outbox.database.write() as session:
        await put(session, "email", {"to": ["a@example.com"], "attachments": []})
        session.add(JobRun(name="daily summary", ran_at=1, error="ZeroDivisionError: oh"))
    assert [(finding.state, finding.text) for finding in await outbox_check.outbox(settings)] == [
        ("warning", "1 mails wait: no SMTP server is set"),
        ("warning", "1 messages could not be delivered"),
        ("warning", f"webhook {endpoint} is off: the receiver says that it is gone (410)"),
        ("wrong", "the job daily summary failed: ZeroDivisionError: oh"),
    ]
    with_mail = read_settings({"DCX_SMTP_URL": "smtp://127.0.0.1", "DCX_MAIL_FROM": "a@b.org"}, home=str(tmp_path))
    assert "wait for more than 5 minutes" in (await outbox_check.outbox(with_mail))[0].text
