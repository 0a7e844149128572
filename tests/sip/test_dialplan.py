"""The product's own dialplan: how it finds an engine, what it tells it, and what callers get when there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import aiohttp
import pytest

from dcx_ari.media.tones import read_wav
from dcx_asterisk.ports import free_ports
from tests.sip.conftest import MakePhone, Switch
from tests.sip.raw import invite

pytestmark = pytest.mark.sip

SPEECH = 800  # a quarter second of somebody speaking has louder samples than this


class Engine:
    """The least an engine can be: it notes the calls that come in and gives each one back at once."""

    def __init__(self, switch: Switch, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.starts: list[dict[str, object]] = []
        self._switch = switch
        self._socket = socket
        self._news = asyncio.Event()

    async def run(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if event["type"] == "StasisStart":
                self.starts.append(event)
                self._news.set()
                await self._switch.ask("POST", f"channels/{event['channel']['id']}/continue")

    async def next(self, errors: str = "strict") -> tuple[str, dict[str, list[str]], dict[str, object]]:
        """The kind of the first call, its fields, its channel."""
        async with asyncio.timeout(5):
            while not self.starts:
                self._news.clear()
                await self._news.wait()
        start = self.starts.pop(0)
        kind, fields = start["args"]  # type: ignore[misc]
        return kind, parse_qs(fields, keep_blank_values=True, errors=errors), start["channel"]  # type: ignore[return-value]


@asynccontextmanager
async def engine(switch: Switch, name: str = "dcx-0") -> AsyncIterator[Engine]:
    url = f"{switch.asterisk.ari_url}/events"
    async with switch.session.ws_connect(url, params={"app": name}) as socket:
        one = Engine(switch, socket)
        task = asyncio.create_task(one.run())
        try:
            yield one
        finally:
            await socket.close()
            await task


@pytest.fixture
async def port(switch: Switch) -> int:
    """A port from which calls are accepted as from a trunk."""
    (port,) = free_ports(1, spacing=2)
    await switch.trunk("in", f"127.0.0.1:{port}", "127.0.0.1")
    return port


async def test_the_engine_learns_number_and_headers(switch: Switch, port: int) -> None:
    headers = (
        'X-Track: a,b)"${EPOCH}\r\nx-camp: 7\r\nDiversion: <sip:+15559@x>;reason=no-answer\r\n'
        'P-Asserted-Identity: "Ann, B." <sip:+15557770000@x>\r\n'
    )
    async with engine(switch) as one:
        await invite(switch.sip, port, "sip:+15550100@127.0.0.1", headers=headers)
        kind, fields, channel = await one.next()
    assert kind == "in"
    assert fields == {
        "to": ["+15550100"],
        "div": ["<sip:+15559@x>;reason=no-answer"],
        "pai": ['"Ann, B." <sip:+15557770000@x>'],
        "from": [fields["from"][0]],
        "x-track": ['a,b)"${EPOCH}'],
        "x-camp": ["7"],
    }
    assert fields["from"][0].startswith("<sip:+15551230001@127.0.0.1>")
    assert channel["caller"] == {"name": "Ann, B.", "number": "+15557770000"}
    assert channel["dialplan"]["exten"] == "+15550100"  # type: ignore[index]


@pytest.mark.parametrize(
    ("uri", "to"),
    [
        ("sip:127.0.0.1", ""),
        ("sip:5@127.0.0.1", "5"),
        (f"sip:{'1' * 40}@127.0.0.1", "1" * 40),
        ("sip:a%2Cb,c;d=e@127.0.0.1", "a,b,c;d=e"),
        ("sip:h@127.0.0.1", None),
        ("sip:5%e9%ff1@127.0.0.1", "51"),
        ("sip:%e9@127.0.0.1", ""),
        ("tel:+15550100", "+15550100"),
    ],
)
async def test_odd_numbers_reach_the_engine(switch: Switch, port: int, uri: str, to: str | None) -> None:
    async with engine(switch) as one:
        replies = await invite(switch.sip, port, uri)
        if to is None:  # `h` is what Asterisk runs when a call is over: nobody can dial it
            assert replies[-1].startswith("603")
            return
        _, fields, _ = await one.next()
    assert fields == {"to": [to]}


@pytest.mark.parametrize(
    "caller", ['"Jos\xe9" <sip:x@y>', "<sip:%e9%ff@x>", "<sip:127.0.0.1>", '"\\"q\\"" <sip:anonymous@a>']
)
async def test_odd_callers_reach_the_engine(switch: Switch, port: int, caller: str) -> None:
    async with engine(switch) as one:
        await invite(switch.sip, port, "sip:7@x", from_=caller)
        _, fields, _ = await one.next()
    assert fields == {"to": ["7"]}


async def test_a_call_that_no_event_can_describe_is_refused(switch: Switch, port: int) -> None:
    """A Call-ID that is no UTF-8 would make the call invisible to the engine and break every list of channels."""
    async with engine(switch) as one:
        assert (await invite(switch.sip, port, "sip:7@x", call_id="z\xe9"))[-1].startswith("404")
        assert not one.starts


async def test_many_long_headers_are_cut(switch: Switch, port: int) -> None:
    headers = "".join(f"X-H{index}: {'€' * 200}\r\n".encode().decode("latin-1") for index in range(12))
    async with engine(switch) as one:
        await invite(switch.sip, port, "sip:7@x", headers=headers)
        _, fields, _ = await one.next(errors="replace")
    assert set(fields) == {"to", *(f"x-h{index}" for index in range(8))}
    assert {len(fields[f"x-h{index}"][0].encode()) for index in range(8)} <= set(range(120, 140))


async def test_a_call_the_engine_gives_back_is_over(switch: Switch, port: int) -> None:
    async with engine(switch) as one:
        assert (await invite(switch.sip, port, "sip:7@x", until=300))[-1].startswith("603")
        await one.next()
        await asyncio.sleep(0.6)
        assert not one.starts
    assert await switch.ask("GET", "channels") == []


async def test_any_of_several_engines_takes_the_call(switch: Switch, port: int) -> None:
    await switch.set(DCX_ENGINES="3")
    async with engine(switch, "dcx-1") as one:
        for _ in range(6):
            replies = await invite(switch.sip, port, "sip:7@x", until=300)
            await one.next()
            assert not [reply for reply in replies if reply.startswith("180")]  # without a wait in between


async def test_an_engine_that_comes_in_time_takes_the_ringing_call(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller")
    await switch.set(DCX_RETRIES="40")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    await caller.wait("CALL_RINGING")
    async with engine(switch) as one:
        _, fields, _ = await one.next()
    assert fields == {"to": ["+15550100"]}


async def test_without_an_engine_the_caller_hears_ringing_then_an_apology(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    ringing = await caller.wait("CALL_RINGING")
    answered = await caller.wait("CALL_ESTABLISHED")
    assert answered.at - ringing.at > 0.7  # four tries, a quarter second apart
    await asyncio.sleep(2.5)
    assert caller.heard is not None
    samples, _ = read_wav(caller.heard)
    assert max(samples) > SPEECH
    await caller.wait("CALL_CLOSED", timeout_s=20)


async def test_without_an_engine_the_fallback_number_is_dialled(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller", tone_hz=440)
    office = await phone("office", tone_hz=700, answer="auto")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1")
    await switch.trunk("out", f"127.0.0.1:{office.port}")
    await switch.set(DCX_FALLBACK_NUMBER="+15559990000", DCX_FALLBACK_TRUNK="out")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    await caller.wait("CALL_ESTABLISHED")
    assert "caller" in (await office.wait("CALL_ESTABLISHED")).peer
    await asyncio.sleep(1.5)
    assert caller.hears(700, -1) > 3000


async def test_a_fallback_that_refuses_still_ends_in_an_apology(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller")
    office = await phone("office", answer="reject")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1")
    await switch.trunk("out", f"127.0.0.1:{office.port}")
    await switch.set(DCX_FALLBACK_NUMBER="+15559990000", DCX_FALLBACK_TRUNK="out", DCX_RETRIES="0")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    await office.wait("CALL_INCOMING")
    await caller.wait("CALL_ESTABLISHED")
