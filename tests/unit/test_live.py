"""The live view over real WebSockets: snapshot, numbered changes, gaps, tickets, origins, limits, and who sees what."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer
from report_kit import NOW, ZONE, Made, configure

from dcx_ari.api import live, sockets
from dcx_ari.api.app import make_app
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.remote import EngineAway, Remote
from dcx_ari.services.errors import Refused
from dcx_ari.services.keys import create_key, revoke_key
from dcx_ari.services.live import TOPIC, Coverage, LiveMetrics
from dcx_ari.services.roles import create_role
from dcx_ari.services.tickets import VALID_S, Tickets
from dcx_ari.store.db import open_database
from dcx_ari.store.ledger import open_ledger

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]


def call(call_id: str, *buyers: int, status: str = "in-progress", source: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "status": status,
        "stage": "talking",
        "caller": "+12125550100",
        "number": "+18005550001",
        "campaign_id": 1,
        "campaign": "Solar",
        "source_id": source,
        "source": "Radio",
        "buyers": [{"id": each, "name": f"Buyer {each}"} for each in buyers],
        "started_at": "2026-03-10T18:59:00.000Z",
        "answered_at": None,
        "connected_at": None,
        "test": False,
        **more,
    }


class Feed:
    """Stands for the exchange: calls that a test puts up, and a bus on which it tells of them."""

    def __init__(self) -> None:
        self.bus = MemoryBus(most_waiting=3)
        self.up: dict[str, dict[str, Any]] = {}
        self.covered = Coverage(["dcx-0"])

    def calls(self) -> list[dict[str, Any]]:
        return list(self.up.values())

    def now_ms(self) -> int:
        return NOW

    def coverage(self) -> Coverage:
        return self.covered

    async def fresh(self) -> None: ...

    def watch(self) -> Any:
        return self.bus.subscribe([TOPIC])

    def tell(self, *changed: dict[str, Any], removed: tuple[str, ...] = ()) -> None:
        self.up |= {each["id"]: each for each in changed}
        for each in removed:
            del self.up[each]
        self.bus.publish(TOPIC, {"changed": list(changed), "removed": list(removed)})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(configure(path))
    return path


@pytest.fixture
async def made(tmp_path: Path, template: Path) -> AsyncIterator[Made]:
    shutil.copy(template, tmp_path / "dcx.db")
    url = f"sqlite:///{tmp_path}/dcx.db"
    database, ledger = open_database(url), open_ledger(url)
    yield Made(database, ledger)
    await ledger.close()
    await database.close()


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
async def client(made: Made, feed: Feed) -> AsyncIterator[Client]:
    app = make_app(made.database, more=[live.routes(lambda: feed)], zone=ZONE.key)
    async with TestClient(TestServer(app)) as each:
        yield each


async def key(made: Made, role: str = "viewer", **fields: Any) -> dict[str, str]:
    async with made.database.write() as session:
        _, secret = await create_key(session, f"{role} {fields}", role, rate_limit_per_minute=0, **fields)
    return {"Authorization": f"Bearer {secret}"}


async def heard(socket: Any) -> dict[str, Any]:
    async with asyncio.timeout(20):
        message: dict[str, Any] = await socket.receive_json()
    return message


async def status_of(client: Client, path: str, **options: Any) -> int:
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(path, **options)
    return caught.value.status


# -- the calls ----------------------------------------------------------------------------------------------------


async def test_a_snapshot_then_numbered_changes(made: Made, client: Client, feed: Feed):
    feed.up = {"a": call("a", 1)}
    async with client.ws_connect("/ws/live-calls", headers=await key(made)) as socket:
        first = await heard(socket)
        assert (first["type"], first["seq"], first["at"]) == ("snapshot", 1, "2026-03-10T19:00:00.000Z")
        (shown,) = first["calls"]
        assert (shown["id"], shown["buyer"], shown["buyer_ids"]) == ("a", "Buyer 1", [1])
        assert "buyers" not in shown
        feed.tell(call("b", 1, 2, status="ringing"))
        second = await heard(socket)
        assert (second["type"], second["seq"], second["removed"]) == ("changes", 2, [])
        assert (second["changed"][0]["buyer"], second["changed"][0]["status"]) == ("Buyer 1, Buyer 2", "ringing")
        feed.tell(removed=("a",))
        third = await heard(socket)
        assert (third["seq"], third["changed"], third["removed"]) == (3, [], ["a"])


async def test_what_is_not_covered_is_said_and_when_it_changes(made: Made, client: Client, feed: Feed) -> None:
    feed.covered = Coverage(["dcx-0"], ["dcx-1"], "redis: away")
    headers, tied = await key(made), await key(made, buyer_id=1)
    async with client.ws_connect("/ws/live-calls", headers=headers) as socket:
        first = await heard(socket)
        assert (first["workers"], first["missing"], first["degraded"]) == (["dcx-0"], ["dcx-1"], "redis: away")
        feed.tell(call("a", 1))
        assert "degraded" not in await heard(socket)
        feed.covered = Coverage(["dcx-0", "dcx-1"])
        feed.tell()
        news = await heard(socket)
        assert (news["changed"], news["workers"], news["degraded"]) == ([], ["dcx-0", "dcx-1"], None)
    feed.covered = Coverage(["dcx-0"], ["dcx-1"], "redis: away")
    answer = await (await client.get("/api/live", headers=headers)).json()
    assert (answer["missing"], answer["degraded"]) == (["dcx-1"], "redis: away")
    answer = await (await client.get("/api/live", headers=tied)).json()
    assert (answer["workers"], answer["missing"], answer["degraded"]) == ([], [], "some calls may be missing")
    async with client.ws_connect("/ws/live-metrics", headers=headers) as socket:
        first = await heard(socket)
        assert (first["degraded"], "degraded" in first["metrics"]) == ("redis: away", False)


async def test_who_is_too_slow_gets_a_snapshot_again(made: Made, client: Client, feed: Feed):
    async with client.ws_connect("/ws/live-calls", headers=await key(made)) as socket:
        await heard(socket)
        for n in range(10):  # before the writer has a turn: the bus keeps three
            feed.tell(call(f"c{n}", 1))
        again = await heard(socket)
        assert (again["type"], again["seq"]) == ("snapshot", 2)
        assert len(again["calls"]) == 10


async def test_a_buyer_sees_its_calls_while_they_are_its(made: Made, client: Client, feed: Feed):
    feed.up = {"a": call("a", 1, 2), "b": call("b", 2)}
    async with client.ws_connect("/ws/live-calls", headers=await key(made, buyer_id=1)) as socket:
        (own,) = (await heard(socket))["calls"]
        assert (own["id"], own["buyer"], own["buyer_ids"], own["source"]) == ("a", "Buyer 1", [1], None)
        feed.tell(call("b", 2, status="ringing"))  # nothing of it is told
        feed.tell(call("a", 2))  # the other took it
        gone = await heard(socket)
        assert (gone["seq"], gone["changed"], gone["removed"]) == (2, [], ["a"])
        feed.tell(removed=("a",))  # it has been taken away already
        feed.tell(call("d", 1))
        assert [each["id"] for each in (await heard(socket))["changed"]] == ["d"]


async def test_a_source_sees_its_calls_and_no_buyers(made: Made, client: Client, feed: Feed):
    feed.up = {"a": call("a", 1), "b": call("b", 1, source=2)}
    async with client.ws_connect("/ws/live-calls", headers=await key(made, traffic_source_id=1)) as socket:
        (own,) = (await heard(socket))["calls"]
        assert (own["id"], own["buyer"], own["buyer_ids"], own["source"]) == ("a", None, [], "Radio")


# -- the figures --------------------------------------------------------------------------------------------------


async def test_figures_and_what_changes_of_them(made: Made, client: Client, feed: Feed, monkeypatch: Any):
    monkeypatch.setattr(LiveMetrics, "FRESH_S", 0.0)
    monkeypatch.setattr(live, "_TICK_S", 0.01)
    feed.up = {"a": call("a", 1), "b": call("b", 1, status="ringing")}
    await made.call(price=1500, payout=700)
    async with client.ws_connect("/ws/live-metrics", headers=await key(made)) as socket:
        first = await heard(socket)
        assert (first["type"], first["seq"]) == ("snapshot", 1)
        assert first["metrics"] == {
            "calls_in_progress": 2,
            "in_progress": 1,
            "ringing": 1,
            "on_hold": 0,
            "active_cc": {"used": 0, "limit": None},
            "calls_today": 1,
            "converted_today": 1,
            "revenue_today_cents": 1500,
            "payout_today_cents": 700,
        }
        feed.tell(call("b", 1))
        second = await heard(socket)
        assert (second["seq"], second["metrics"]) == (2, {"in_progress": 2, "ringing": 0})


async def test_figures_of_one_buyer_and_of_one_source(made: Made, client: Client, feed: Feed):
    feed.up = {"a": call("a", 1), "b": call("b", 2, source=2)}
    await made.call(price=1500, payout=700)
    await made.call(buyer=2, price=900)
    answer = await client.get("/api/live", headers=await key(made, buyer_id=2))
    found = await answer.json()
    assert [each["id"] for each in found["calls"]] == ["b"]
    assert (found["metrics"]["calls_in_progress"], found["metrics"]["revenue_today_cents"]) == (1, 900)
    assert "payout_today_cents" not in found["metrics"]
    answer = await client.get("/api/live", headers=await key(made, traffic_source_id=1))
    metrics = (await answer.json())["metrics"]
    assert (metrics["payout_today_cents"], metrics["active_cc"]["used"]) == (700, None)
    assert {"revenue_today_cents", "converted_today"}.isdisjoint(metrics)


# -- the door -----------------------------------------------------------------------------------------------------


async def test_a_key_with_the_right_is_needed(made: Made, client: Client):
    for path in ("/ws/live-calls", "/ws/live-metrics"):
        assert await status_of(client, path) == 401
        assert await status_of(client, f"{path}?ticket=guessed") == 401
        assert await status_of(client, path, headers={"Authorization": "Bearer dcx_none"}) == 401
    async with made.database.write() as session:
        await create_role(session, "bookkeeper", ["billing.view"])
    assert await status_of(client, "/ws/live-calls", headers=await key(made, "bookkeeper")) == 403
    answer = await client.get("/ws/live-calls", headers=await key(made))
    assert answer.status == 400  # no WebSocket


async def test_a_ticket_opens_one_socket_once(made: Made, client: Client, feed: Feed):
    feed.up = {"a": call("a", 1), "b": call("b", 2)}
    answer = await client.post("/api/live/tickets", headers=await key(made, buyer_id=2))
    told = await answer.json()
    assert (answer.status, told["expires_at"]) == (201, "2026-03-10T19:00:30.000Z")
    path = f"/ws/live-calls?ticket={told['ticket']}"
    async with client.ws_connect(path) as socket:
        assert [each["id"] for each in (await heard(socket))["calls"]] == ["b"]
    assert await status_of(client, path) == 401


def test_tickets_grow_old_and_are_bounded():
    now = 0.0
    tickets = Tickets(lambda: now)
    old, young = tickets.give("old"), tickets.give("young")
    assert (tickets.take(young), tickets.take(young)) == ("young", None)
    now = VALID_S
    assert tickets.take(old) is None


async def test_pages_of_other_sites_are_refused(made: Made, client: Client):
    headers = await key(made)
    assert await status_of(client, "/ws/live-calls", headers={**headers, "Origin": "https://evil.example"}) == 403
    assert await status_of(client, "/ws/live-calls", headers={**headers, "Origin": "null"}) == 403
    own = str(client.make_url("/")).rstrip("/")
    async with client.ws_connect("/ws/live-calls", headers={**headers, "Origin": own}) as socket:
        assert (await heard(socket))["type"] == "snapshot"


async def test_so_many_sockets_and_no_more(made: Made, feed: Feed):
    headers = await key(made)
    app = make_app(made.database, more=[live.routes(lambda: feed, most=2)], zone=ZONE.key)
    async with TestClient(TestServer(app)) as few:
        open_ = [await few.ws_connect("/ws/live-calls", headers=headers) for _ in range(2)]
        assert await status_of(few, "/ws/live-calls", headers=headers) == 503
        await open_[0].close()
        async with asyncio.timeout(20):
            while (third := await _opened(few, headers)) is None:  # the server notices a moment later
                await asyncio.sleep(0.01)
        await third.close()
        await open_[1].close()


async def _opened(client: Client, headers: dict[str, str]) -> Any:
    """A socket, or None where there is no room for it."""
    try:
        return await client.ws_connect("/ws/live-calls", headers=headers)
    except WSServerHandshakeError:
        return None


async def test_a_revoked_key_ends_its_socket(made: Made, client: Client, monkeypatch: Any):
    monkeypatch.setattr(sockets, "CHECK_S", 0.01)
    async with client.ws_connect("/ws/live-calls", headers=await key(made)) as socket:
        await heard(socket)
        async with made.database.write() as session:
            await revoke_key(session, 1)
        async with asyncio.timeout(20):
            message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)


async def test_what_a_listener_says_is_not_listened_to_and_bounded(made: Made, client: Client, feed: Feed):
    async with client.ws_connect("/ws/live-calls", headers=await key(made)) as socket:
        await heard(socket)
        await socket.send_str('{"type": "snapshot"}')
        feed.tell(call("a", 1))
        assert (await heard(socket))["seq"] == 2
        await socket.send_str("x" * 5_000)
        async with asyncio.timeout(20):
            message = await socket.receive()
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    async with asyncio.timeout(20):
        while feed.bus.wanted(TOPIC):  # nobody is left listening, a moment after the last socket has gone
            await asyncio.sleep(0.01)


async def test_a_process_without_calls_says_so(made: Made):
    app = make_app(made.database, more=[live.routes(lambda: None)], zone=ZONE.key)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/live", headers=await key(made))
        assert answer.status == 503


# -- the command's side -------------------------------------------------------------------------------------------


async def test_the_client_of_the_command(made: Made, client: Client, feed: Feed):
    secret = (await key(made))["Authorization"].removeprefix("Bearer ")
    url = str(client.make_url("/")).rstrip("/")
    async with Remote(url, secret) as engine:
        messages = engine.watch("/ws/live-calls")
        assert (await anext(messages))["seq"] == 1
        feed.tell(call("a", 1))
        assert (await anext(messages))["seq"] == 2
        await messages.aclose()
    async with Remote(url, "dcx_wrong") as stranger:
        with pytest.raises(Refused):
            await anext(stranger.watch("/ws/live-calls"))
    async with Remote("http://127.0.0.1:1", "dcx_wrong") as nobody:
        with pytest.raises(EngineAway):
            await anext(nobody.watch("/ws/live-calls"))
