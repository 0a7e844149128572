"""Requests: which way they take, in which order, and what becomes of them when something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSCloseCode
from ari_server import Asked, Reply, Server, agree, client_of, serving

from dcx_ari.ari.client import AriClient
from dcx_ari.ari.errors import BadRequest, Conflict, EndpointUnavailable, Gone, Unreachable
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Request

pytestmark = pytest.mark.unit


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


class Gate:
    """Replies only once a path's gate is opened; tells when it was asked."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, asked: Asked) -> Reply:
        if asked.path == self.path:
            self.asked.set()
            await self.open.wait()
        return await agree(asked)


async def connect(client: AriClient) -> None:
    await anext(client.sessions())


async def test_quick_requests_share_the_event_socket(server: Server) -> None:
    async with client_of(server) as client:
        await connect(client)
        await client.request(
            Request("POST", "channels/a%2Fb/play", {"media": "sound:x&y=é"}, {"variables": {"A": "ü"}})
        )
    assert server.asked[-1] == Asked(
        "socket", "POST", "channels/a%2Fb/play", {"media": "sound:x&y=é"}, {"variables": {"A": "ü"}}
    )


async def test_blocking_requests_go_over_http(server: Server) -> None:
    async with client_of(server) as client:
        await connect(client)
        await client.request(Request("POST", "channels/a%2Fb/variable", {"value": "x&y+é %"}, blocking=True))
    assert server.asked[-1] == Asked("http", "POST", "channels/a%2Fb/variable", {"value": "x&y+é %"})
    assert server.authorization == "Basic dXNlcjp3b3Jk"


async def test_without_a_session_everything_goes_over_http(server: Server) -> None:
    async with client_of(server) as client:
        assert await client.request(Request("GET", "channels")) == b"{}"
    assert server.paths("http") == ["channels"]


async def test_a_request_too_large_for_the_socket_goes_over_http(server: Server) -> None:
    async with client_of(server) as client:
        await connect(client)
        await client.request(Request("POST", "channels/a/variables", body={"variables": {"A": "x" * 66_000}}))
    assert server.paths("http") == ["channels/a/variables"]


async def test_a_query_too_long_for_http_goes_into_the_body(server: Server) -> None:
    async with client_of(server) as client:
        await client.request(Request("POST", "channels/a/variable", {"variable": "V", "value": "x" * 4000}))
    assert server.asked[-1] == Asked("http", "POST", "channels/a/variable", {}, {"variable": "V", "value": "x" * 4000})


async def test_requests_of_one_channel_keep_their_order_across_both_ways(server: Server) -> None:
    server.reply = gate = Gate("channels/a/answer")
    async with client_of(server) as client, asyncio.TaskGroup() as group:
        await connect(client)
        channels = Ari(client).channels
        group.create_task(channels.answer("a"))
        await gate.asked.wait()
        group.create_task(channels.start_moh("a"))
        await channels.ring("b")  # another channel does not wait
        assert server.paths("socket") == ["channels/b/ring"]
        gate.open.set()
    assert server.paths("socket") == ["channels/b/ring", "channels/a/moh"]


async def test_a_hangup_overtakes_what_is_stuck_on_its_channel(server: Server) -> None:
    server.reply = gate = Gate("channels/a/answer")
    async with client_of(server) as client, asyncio.TaskGroup() as group:
        await connect(client)
        channels = Ari(client).channels
        group.create_task(channels.answer("a"))
        await gate.asked.wait()
        await channels.hangup("a")
        gate.open.set()
    assert server.paths("socket") == ["channels/a"]


async def test_a_cancelled_request_frees_its_lane(server: Server) -> None:
    server.reply = gate = Gate("channels/a/ring")
    async with client_of(server) as client:
        await connect(client)
        channels = Ari(client).channels
        stuck = asyncio.ensure_future(channels.ring("a"))
        await gate.asked.wait()
        stuck.cancel()
        await asyncio.wait([stuck])
        await channels.start_moh("a")
        gate.open.set()  # the late answer finds nobody and disturbs nobody
        await channels.ring_stop("a")
        assert not len(client._lanes)
    assert stuck.cancelled()


@pytest.mark.parametrize("blocking", [False, True])
async def test_no_answer_in_time_is_unreachable(server: Server, blocking: bool) -> None:
    async def silent(asked: Asked) -> Reply:
        return None if asked.path == "channels/a" else await agree(asked)

    server.reply = silent
    async with client_of(server, timeout_s=0.05) as client:
        await connect(client)
        with pytest.raises(Unreachable, match="no answer within"):
            await client.request(Request("GET", "channels/a", blocking=blocking))
        assert await client.request(Request("GET", "channels/b", blocking=blocking)) == b"{}"


async def test_requests_under_way_fail_when_the_socket_dies_and_are_not_repeated(server: Server) -> None:
    server.reply = gate = Gate("channels/a/ring")
    async with client_of(server) as client:
        await connect(client)
        ws = await server.socket()
        asking = asyncio.ensure_future(Ari(client).channels.ring("a"))
        await gate.asked.wait()
        await ws.close(code=WSCloseCode.GOING_AWAY)
        with pytest.raises(Unreachable, match="1001"):
            await asking
    assert server.paths("http") == []


async def test_a_server_that_is_not_there_is_unreachable(server: Server) -> None:
    client = AriClient("http://127.0.0.1:1/ari", "u", "p", "dcx")
    with pytest.raises(Unreachable):
        await client.request(Request("GET", "channels"))
    await client.close()


async def test_close_fails_what_is_under_way_and_all_that_follows(server: Server) -> None:
    server.reply = gate = Gate("channels/a/answer")
    async with client_of(server) as client:
        asking = asyncio.ensure_future(Ari(client).channels.answer("a"))
        await gate.asked.wait()
        await client.close()
        with pytest.raises(Unreachable):
            await asking
        with pytest.raises(Unreachable, match="closed"):
            await client.request(Request("GET", "channels"))


async def test_refusals_become_typed_errors_with_asterisks_words(server: Server) -> None:
    async def refuse(asked: Asked) -> Reply:
        return {
            "channels/gone": (404, {"message": "Channel not found"}),
            "channels/create": (500, {"error": "Allocation failed"}),
            "bridges": (400, None),
        }.get(asked.path) or await agree(asked)

    server.reply = refuse
    async with client_of(server) as client:
        await connect(client)
        ari = Ari(client)
        with pytest.raises(Gone, match="GET channels/gone: 404 Channel not found"):
            await ari.channels.get("gone")
        with pytest.raises(EndpointUnavailable):
            await ari.channels.create(endpoint="PJSIP/nobody", app="dcx", channel_id="x")
        with pytest.raises(BadRequest):
            await ari.bridges.create()


@pytest.mark.parametrize(("known", "error"), [([], EndpointUnavailable), (["channels/x"], Conflict)])
async def test_a_clash_of_ids_is_believed_only_if_the_channel_is_there(
    server: Server, known: list[str], error: type[Exception]
) -> None:
    async def refuse(asked: Asked) -> Reply:
        if asked.path == "channels/create":
            return 409, {"message": "Channel with given unique ID already exists"}
        if asked.method == "GET" and asked.path not in known:
            return 404, {"message": "Channel not found"}
        return await agree(asked)

    server.reply = refuse
    async with client_of(server) as client:
        await connect(client)
        with pytest.raises(error):
            await Ari(client).channels.create(endpoint="PJSIP/nobody", app="dcx", channel_id="x")


async def test_ping_is_an_event_that_comes_back(server: Server) -> None:
    async with client_of(server, echo_s=0.1) as client:
        with pytest.raises(Unreachable, match="down"):
            await client.ping()
        await connect(client)
        assert await client.ping() >= 0
        server.forgetful = True
        with pytest.raises(Unreachable, match="no event came"):
            await client.ping()
