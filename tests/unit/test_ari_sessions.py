"""Sessions: how they begin, what they carry, and every way in which they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from ari_server import Asked, Reply, Server, agree, client_of, event, serving, until

from dcx_ari.ari.client import QUIET, backoff_s
from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.errors import AccessDenied, Replaced
from dcx_ari.ari.events import ApplicationReplaced, ChannelVarset
from dcx_ari.ari.transport import Request

pytestmark = pytest.mark.unit


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


async def test_a_session_is_told_what_not_to_send_before_it_is_handed_out(server: Server) -> None:
    async with client_of(server) as client:
        assert not client.connected
        await anext(client.sessions())
        assert client.connected
    assert server.app == "dcx"
    body = {"disallowed": [{"type": name} for name in QUIET]}
    assert server.asked == [Asked("http", "PUT", "applications/dcx/eventFilter", {}, body)]


async def test_events_come_in_order_and_answers_are_not_among_them(server: Server) -> None:
    async with client_of(server) as client:
        session = await anext(client.sessions())
        ws = await server.socket()
        first = event("ChannelVarset", variable="A", value='says "RESTResponse" and means nothing')
        await ws.send_str(first)
        await client.request(Request("GET", "channels"))
        await ws.send_str(event("Second", value="x" * 200_000))
        await ws.close()
        assert [frame async for frame in session] == [
            first.encode(),
            event("Second", value="x" * 200_000).encode(),
        ]


async def test_what_is_no_utf8_or_no_json_does_not_end_a_session(server: Server) -> None:
    async with client_of(server) as client:
        session = await anext(client.sessions())
        ws = await server.socket()
        latin = event("ChannelVarset", variable="A", value="José").encode().replace(b"\\u00e9", b"\xe9")
        for frame in (latin, b"{", b"", b"[1]"):
            await ws.send_frame(frame, 1)
        await ws.send_str(event("ChannelVarset", variable="B", value=""))
        await ws.close()
        decoded = [decode_event(frame) async for frame in session]
    assert [one and type(one) for one in decoded] == [ChannelVarset, None, None, None, ChannelVarset]
    assert isinstance(decoded[0], ChannelVarset)
    assert decoded[0].value == "Jos\ufffd"


async def test_a_clean_close_leads_to_a_new_session_after_a_pause(server: Server) -> None:
    draws = []

    def draw() -> float:
        draws.append(0)
        return 0.0

    async with client_of(server, draw=draw) as client:
        seen = 0
        async for session in client.sessions():
            seen += 1
            await (await server.socket()).close()
            assert [frame async for frame in session] == []
            if seen == 3:
                break
    assert server.attempts == 3
    assert len(draws) == 2  # one pause per reconnection: no busy loop


async def test_a_dead_peer_is_found_by_its_silence(server: Server) -> None:
    server.deaf = True
    async with client_of(server, heartbeat_s=0.1) as client:
        session = await anext(client.sessions())
        assert [frame async for frame in session] == []
        assert not client.connected


async def test_refusals_that_may_pass_are_tried_again(server: Server) -> None:
    server.refuse_upgrades = [503, 404]
    async with client_of(server) as client:
        await anext(client.sessions())
    assert server.attempts == 3


async def test_a_refused_event_filter_is_no_session(server: Server) -> None:
    replies: list[Reply] = [(404, {"message": "Application not found"})]

    async def refuse_once(asked: Asked) -> Reply:
        return replies.pop() if replies else await agree(asked)

    server.reply = refuse_once
    async with client_of(server) as client:
        await anext(client.sessions())
        refused = await server.socket()
        await until(lambda: refused.closed)  # and no socket is left open
    assert server.attempts == 2


async def test_a_session_over_which_no_event_comes_is_ended_by_the_watch(server: Server) -> None:
    async with client_of(server, echo_s=0.1) as client:
        watching = asyncio.create_task(client.watch(every_s=0.01))
        sessions = client.sessions()
        session = await anext(sessions)
        server.forgetful = True
        async for _ in session:
            pass
        server.forgetful = False
        await anext(sessions)
        assert client.connected
        await client.close()
        await watching
    assert server.attempts == 2


async def test_a_socket_over_which_no_event_comes_is_no_session(server: Server) -> None:
    server.forgetful = True
    async with client_of(server, echo_s=0.1) as client:
        connecting = asyncio.create_task(anext(client.sessions()))
        silent = await server.socket()
        await until(lambda: silent.closed)
        server.forgetful = False
        await connecting
        assert client.connected
        assert await client.ping() > 0
    assert server.attempts == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_user_is_fatal_and_says_where_to_look(server: Server, status: int) -> None:
    server.refuse_upgrades = [status]
    async with client_of(server) as client:
        with pytest.raises(AccessDenied, match=r"ari\.conf") as caught:
            await anext(client.sessions())
    assert caught.value.status == status
    assert server.attempts == 1


async def test_another_engine_under_our_name_ends_the_sessions(server: Server) -> None:
    async with client_of(server) as client:
        sessions = client.sessions()
        session = await anext(sessions)
        ws = await server.socket()
        await ws.send_str(event("ApplicationReplaced", app="other"))
        await ws.send_str(event("ApplicationReplaced"))
        events = [decode_event(frame) async for frame in session]
        assert [type(one) for one in events] == [ApplicationReplaced, ApplicationReplaced]
        with pytest.raises(Replaced, match="dcx"):
            await anext(sessions)
    assert server.attempts == 1


async def test_too_many_unread_events_end_the_session_instead_of_being_dropped(server: Server) -> None:
    async with client_of(server, unread_events=10) as client:
        session = await anext(client.sessions())
        ws = await server.socket()
        sent = [event("ChannelVarset", variable=str(number), value="") for number in range(50)]
        for text in sent:
            await ws.send_str(text)
        await until(lambda: not client.connected)
        assert [frame.decode() async for frame in session] == sent[:11]


async def test_close_ends_the_iteration_from_outside(server: Server) -> None:
    async with client_of(server) as client:

        async def consume() -> int:
            count = 0
            async for session in client.sessions():
                count += 1
                async for _ in session:
                    pass
            return count

        consuming = asyncio.create_task(consume())
        await server.socket()
        await until(lambda: client.connected)
        await client.close()
        assert await consuming == 1


async def test_close_ends_a_pause_between_attempts(server: Server) -> None:
    server.refuse_upgrades = [503] * 100
    async with client_of(server, draw=lambda: 0.999) as client:
        consuming = asyncio.create_task(anext(client.sessions(), None))
        await until(lambda: server.attempts > 0)
        await client.close()
        assert await consuming is None


async def test_a_cancelled_consumer_leaves_a_client_that_can_be_closed(server: Server) -> None:
    async with client_of(server) as client:

        async def consume() -> None:
            async for session in client.sessions():
                async for _ in session:
                    pass

        consuming = asyncio.create_task(consume())
        ws = await server.socket()
        await until(lambda: client.connected)
        consuming.cancel()
        await asyncio.wait([consuming])
        assert client.connected
        await client.close()
        await until(lambda: ws.closed)


def test_back_off_doubles_to_a_bound_and_keeps_its_jitter() -> None:
    assert [backoff_s(n, 1.0) for n in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert backoff_s(10_000, 1.0) == 10.0
    assert all(backoff_s(n, 0.0) == backoff_s(n, 1.0) / 2 for n in range(12))
