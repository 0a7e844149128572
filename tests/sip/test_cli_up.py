"""`dcx up` from outside: what it prints, what it answers, how it ends, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from dcx_asterisk.ports import free_ports
from tests.sip.command import Home, Said

pytestmark = pytest.mark.sip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    yield made
    made.kill_asterisk()


def one_line(said: Said) -> str:
    """The one line of complaint; anything else, above all a traceback, is a fault."""
    assert said.status != 0
    assert "Traceback" not in said.err + said.out
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, said.err
    return lines[0]


async def test_up_is_ready_serves_and_ends_without_a_trace(home: Home) -> None:
    async with home.up() as up, aiohttp.ClientSession() as web:
        assert f":{home.sip_port}" in up.ready
        assert home.api in up.ready
        for path in ("/health", "/ready"):
            async with web.get(home.api + path) as answer:
                assert answer.status == 200, await answer.text()
        async with web.get(f"{home.api}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            metrics = await answer.text()
        assert 'dcx_live_calls{worker="dcx-0"} 0' in metrics
        asterisk = home.asterisk_pid
        assert asterisk is not None

        for word in ("up", "run"):
            second = await home.run(word)
            assert second.status == 2
            assert f"DCX_HOME: {home.path} is in use" in one_line(second)
            assert (f"process {up.process.pid}" in second.err) == (word == "up")  # a worker has the slot
        async with web.get(f"{home.api}/ready") as answer:
            assert answer.status == 200  # the first does not mind

        said = await up.end()
        assert (said.status, said.out) == (0, "")
        assert "Traceback" not in said.err
        assert home.asterisk_pid is None
        assert not Path(f"/proc/{asterisk}").exists()
    assert free_ports(1, within=[home.sip_port]) == [home.sip_port]
    verified = await home.run("caps", "verify")
    assert verified.status == 0, verified


async def test_ctrl_c_ends_it_too(home: Home) -> None:
    async with home.up() as up:
        said = await up.end(signal.SIGINT)
    assert (said.status, "Traceback" in said.err, home.asterisk_pid) == (0, False, None)


async def test_ready_is_503_while_asterisk_is_away(home: Home) -> None:
    async with home.up() as up, aiohttp.ClientSession() as web:
        asterisk = home.asterisk_pid
        assert asterisk is not None
        os.kill(asterisk, signal.SIGSTOP)
        try:
            async with web.get(f"{home.api}/ready") as answer:
                assert answer.status == 503
                assert "Asterisk" in (await answer.json())["reason"]
            async with web.get(f"{home.api}/health") as answer:
                assert answer.status == 200
        finally:
            os.kill(asterisk, signal.SIGCONT)
        async with asyncio.timeout(30):
            while True:
                async with web.get(f"{home.api}/ready") as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.1)
        assert (await up.end()).status == 0


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    homes = {f"DCX_{name}_PORT": Home(tmp_path / name) for name in ("API", "SIP", "ARI", "AMI")}
    taken = []
    for variable, home in homes.items():
        kind = socket.SOCK_DGRAM if variable == "DCX_SIP_PORT" else socket.SOCK_STREAM
        taken.append(socket.socket(socket.AF_INET, kind))
        taken[-1].bind(("127.0.0.1", int(home.environment[variable])))
        if kind == socket.SOCK_STREAM:
            taken[-1].listen()
    try:
        ends = await asyncio.gather(*(home.run("up") for home in homes.values()))
    finally:
        for each in taken:
            each.close()
        for home in homes.values():
            home.kill_asterisk()
    for (variable, home), said in zip(homes.items(), ends, strict=True):
        message = one_line(said)
        assert variable in message
        assert home.environment[variable] in message
        assert home.asterisk_pid is None


async def test_a_database_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken, nowhere, locked = (Home(tmp_path / name) for name in ("broken", "nowhere", "locked"))
    for home in (broken, locked):
        home.path.mkdir()
    (broken.path / "dcx.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    nowhere.environment["DCX_DATABASE_URL"] = f"sqlite+aiosqlite:///{tmp_path}/file/dcx.db"
    holder = sqlite3.connect(locked.path / "dcx.db", isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        ends = await asyncio.gather(*(home.run("up") for home in (broken, nowhere, locked)))
    finally:
        holder.close()
        for home in (broken, nowhere, locked):
            home.kill_asterisk()
    for said, words in zip(ends, ("not a database", "file/dcx.db", "locked"), strict=True):
        assert words in one_line(said), said
    assert [home.asterisk_pid for home in (broken, nowhere, locked)] == [None] * 3


@pytest.mark.parametrize("path", ["/proc/dcx", "/dev/null/dcx"])
async def test_a_home_that_cannot_be_written_is_told(path: str) -> None:
    said = await Home(Path(path)).run("up")
    assert path in one_line(said)


async def test_settings_that_make_no_sense_are_told_with_their_variable(tmp_path: Path) -> None:
    wrong = {"DCX_API_PORT": "eighty", "DCX_RTP_PORTS": "10", "DCX_TIMEZONE": "Mars/Olympus"}
    ends = await asyncio.gather(*(Home(tmp_path / name, {name: value}).run("up") for name, value in wrong.items()))
    for variable, said in zip(wrong, ends, strict=True):
        assert variable in one_line(said)
        assert said.status == 2
    assert list(tmp_path.iterdir()) == []  # nothing half-made
