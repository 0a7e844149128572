"""The manager client against a manager that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from dcx_ari.ari.ami import AmiClient
from dcx_ari.ari.errors import AccessDenied, BadRequest, Gone, Unreachable

pytestmark = pytest.mark.unit

Fields = dict[str, str]
Handler = Callable[[Fields, asyncio.StreamWriter], Awaitable[None]]


def block(**fields: str) -> bytes:
    return ("".join(f"{key}: {value}\r\n" for key, value in fields.items()) + "\r\n").encode()


async def obey(fields: Fields, writer: asyncio.StreamWriter) -> None:
    more = {"MixMonitorID": "0x1"} if fields["Action"] == "MixMonitor" else {}
    writer.write(block(Response="Success", ActionID=fields["ActionID"], **more))


class Manager:
    def __init__(self) -> None:
        self.actions: list[Fields] = []
        self.connections = 0
        self.handle: Handler = obey
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        fields: Fields = {}
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            if text:
                key, _, value = text.partition(": ")
                fields[key] = value
                continue
            self.actions.append(fields)
            await (obey if fields["Action"] == "Login" else self.handle)(fields, writer)
            fields = {}
        writer.close()


@asynccontextmanager
async def managed(**options: float) -> AsyncIterator[tuple[Manager, AmiClient]]:
    manager = Manager()
    server = await asyncio.start_server(manager.serve, "127.0.0.1", 0)
    client = AmiClient("127.0.0.1", server.sockets[0].getsockname()[1], "user", "word", **options)
    try:
        async with asyncio.timeout(10):
            yield manager, client
    finally:
        await client.close()
        for writer in manager.writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_one_login_then_the_actions_in_order() -> None:
    async with managed() as (manager, client):
        assert await client.mix_monitor("chan", "/a b/é-rx.wav", "tx.wav") == "0x1"
        await asyncio.gather(client.mute("chan", True), client.mute("chan", False), client.stop("chan", "0x1"))
    names = [(one["Action"], one.get("State")) for one in manager.actions]
    assert names == [
        ("Login", None),
        ("MixMonitor", None),
        ("MixMonitorMute", "1"),
        ("MixMonitorMute", "0"),
        ("StopMixMonitor", None),
    ]
    assert manager.actions[0] | {"ActionID": ""} == {
        "Action": "Login", "ActionID": "", "Username": "user", "Secret": "word", "Events": "off",
    }  # fmt: skip
    assert manager.actions[1]["Options"] == "r(/a b/é-rx.wav)t(tx.wav)i(DCX_MIXMONITOR)"


@pytest.mark.parametrize("text", ["a\r\nAction: Originate", "a\nb", "a\rb"])
async def test_a_header_cannot_smuggle_another(text: str) -> None:
    async with managed() as (manager, client):
        with pytest.raises(ValueError, match="line break"):
            await client.stop(text, "0x1")
        with pytest.raises(ValueError, match="line break"):
            await client.action("Ping", {text: "x"})
        with pytest.raises(ValueError, match="line break"):
            AmiClient("127.0.0.1", 1, "user", text)
    assert manager.actions == []


@pytest.mark.parametrize(
    "path",
    ["a)b.wav", "a,b.wav", "../a.wav", "x/../a.wav", "a", "a.wav\n", "a(b.wav", "a|b.wav", "${X}.wav", ""],
)
async def test_a_path_cannot_leave_its_option(path: str) -> None:
    async with managed() as (manager, client):
        with pytest.raises(ValueError, match="no name for a recording"):
            await client.mix_monitor("chan", "a.wav", path)
    assert manager.actions == []


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::"])  # noqa: S104
def test_only_loopback_is_spoken_to(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        AmiClient(host, 5038, "user", "word")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("No such channel", Gone),
        ("Permission denied", AccessDenied),
        ("Invalid/unknown command: X", BadRequest),
    ],
)
async def test_refusals_are_typed_and_keep_the_connection(message: str, kind: type[Exception]) -> None:
    async def refuse(fields: Fields, writer: asyncio.StreamWriter) -> None:
        writer.write(block(Response="Error", ActionID=fields["ActionID"], Message=message))

    async with managed() as (manager, client):
        manager.handle = refuse
        with pytest.raises(kind, match=message):
            await client.stop("chan", "0x1")
        manager.handle = obey
        await client.ping()
    assert manager.connections == 1


async def test_other_blocks_are_passed_over() -> None:
    async def chatter(fields: Fields, writer: asyncio.StreamWriter) -> None:
        late = block(Response="Success", ActionID="999", MixMonitorID="0x999")
        writer.write(block(Event="FullyBooted", Status="x: y") + late)
        await obey(fields, writer)

    async with managed() as (manager, client):
        manager.handle = chatter
        assert await client.mix_monitor("chan", "a.wav", "b.wav") == "0x1"


async def test_silence_is_unreachable_and_the_next_action_connects_again() -> None:
    async def silent(fields: Fields, writer: asyncio.StreamWriter) -> None: ...

    async with managed(timeout_s=0.1) as (manager, client):
        manager.handle = silent
        with pytest.raises(Unreachable, match="no answer"):
            await client.ping()
        manager.handle = obey
        await client.ping()
    assert manager.connections == 2


async def test_a_connection_lost_in_the_middle_is_unreachable_and_never_repeated() -> None:
    async def hang_up(fields: Fields, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with managed() as (manager, client):
        manager.handle = hang_up
        with pytest.raises(Unreachable):
            await client.ping()
        assert [one["Action"] for one in manager.actions] == ["Login", "Ping"]
        manager.handle = obey
        await client.ping()
    assert manager.connections == 2


async def test_a_cancelled_action_leaves_no_answer_behind_for_the_next() -> None:
    asked = asyncio.Event()

    async def silent(fields: Fields, writer: asyncio.StreamWriter) -> None:
        asked.set()

    async with managed() as (manager, client):
        manager.handle = silent
        pinging = asyncio.create_task(client.ping())
        await asked.wait()
        pinging.cancel()
        await asyncio.wait([pinging])
        manager.handle = obey
        assert await client.mix_monitor("chan", "a.wav", "b.wav") == "0x1"
    assert manager.connections == 2


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await AmiClient("127.0.0.1", 1, "user", "word").ping()
