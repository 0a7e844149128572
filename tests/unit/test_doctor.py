"""The doctor: every check on the real thing, broken in turn; never a traceback, never a change."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from decided import fill
from typer.testing import CliRunner

from dcx_ari import doctor as outer
from dcx_ari.api.app import make_app
from dcx_ari.clock import now_ms
from dcx_ari.services import doctor as service
from dcx_ari.services.doctor import Finding, examine
from dcx_ari.settings import Settings, read_settings
from dcx_ari.store.db import open_database
from dcx_ari.store.models import Worker
from dcx_cli.main import app

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def home(tmp_path: Path, template: Path) -> Path:
    shutil.copy(template, tmp_path / "dcx.db")
    return tmp_path


def settings(home: Path, **more: Any) -> Settings:
    return read_settings({}, home=home, **more)


@contextmanager
def listening() -> Iterator[int]:
    """A port that somebody else has, and who never says a word."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def states(findings: Any) -> list[str]:
    return [each.state for each in ([findings] if isinstance(findings, Finding) else findings)]


# -- the frame ----------------------------------------------------------------------------------------------


async def test_a_check_that_hangs_or_breaks_is_a_finding(home: Path) -> None:
    async def hangs(_: Settings) -> Finding:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def breaks(_: Settings) -> Finding:
        raise KeyError("oops\nsecond line")

    async def works(_: Settings) -> list[Finding]:
        return [Finding("ok", "a"), Finding("warning", "b", "c")]

    checks = (("hangs", hangs), ("breaks", breaks), ("works", works))
    lines = await examine(checks, settings(home), timeout_s=0.01)
    assert [(line.check, line.state) for line in lines] == [
        ("hangs", "wrong"),
        ("breaks", "wrong"),
        ("works", "ok"),
        ("works", "warning"),
    ]
    assert "KeyError" in lines[1].text
    assert "\n" not in lines[1].text


def test_every_check_has_a_name_of_its_own() -> None:
    names = [name for name, _ in outer.CHECKS]
    assert len(set(names)) == len(names) >= 12


# -- what is ours -------------------------------------------------------------------------------------------


async def test_home(tmp_path: Path) -> None:
    assert states(await service.home(settings(tmp_path))) == ["ok"]
    assert "made at the first start" in (await service.home(settings(tmp_path / "a/b"))).text
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert states(await service.home(settings(tmp_path / "file"))) == ["wrong"]


async def test_a_home_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_FREE_WARNING", 1 << 60)
    assert states(await service.home(settings(tmp_path))) == ["warning"]
    monkeypatch.setattr(service, "_FREE_WRONG", 1 << 60)
    assert states(await service.home(settings(tmp_path))) == ["wrong"]


async def test_a_good_database(home: Path) -> None:
    assert states(await service.database(settings(home))) == ["ok", "ok", "ok"]


async def test_no_database_is_not_made(tmp_path: Path) -> None:
    assert states(await service.database(settings(tmp_path))) == ["warning"]
    assert states(await service.configuration(settings(tmp_path))) == ["warning"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("revision", "state"), [("0001", "warning"), ("9999", "wrong")])
async def test_another_schema(home: Path, revision: str, state: str) -> None:
    _sql(home, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608
    assert states(await service.database(settings(home)))[0] == state


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "dcx.db").write_bytes(b"no database " * 1000)
    (found,) = await service.database(settings(tmp_path))
    assert found.state == "wrong"
    assert "not a database" in found.text


async def test_a_damaged_page(home: Path) -> None:
    _sql(home, "PRAGMA journal_mode = DELETE")
    page = _sql(home, "SELECT rootpage FROM sqlite_schema WHERE name = 'buyers'")[0][0]
    with (home / "dcx.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x00" * 4096)
    found = await service.database(settings(home))
    assert states(found)[-1] == "wrong"
    assert "damaged" in found[-1].text


async def test_a_locked_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_LOCK_S", 0.01)
    holder = sqlite3.connect(home / "dcx.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    found = await service.database(settings(home))
    holder.close()
    assert states(found) == ["ok", "wrong", "ok"]
    assert "locked" in found[1].text


async def test_what_is_configured(home: Path) -> None:
    assert states(await service.configuration(settings(home))) == ["ok", "ok"]
    _sql(home, "UPDATE numbers SET status = 'INACTIVE'")
    _sql(home, "UPDATE trunks SET status = 'INACTIVE'")
    found = await service.configuration(settings(home))
    assert [each.text for each in found if each.state == "warning"] == ["no active numbers", "no active trunk"]
    _sql(home, "UPDATE buyers SET filters = '[{\"op\": \"==\"}]' WHERE name = 'Acme'")
    found = await service.configuration(settings(home))
    assert any(each.state == "wrong" and each.text.startswith("buyers 1 is left out") for each in found)


async def test_two_trunks_and_no_default(home: Path) -> None:
    _sql(home, "UPDATE trunks SET is_default = 0")
    assert states(await service.configuration(settings(home))) == ["ok", "ok"]  # the only one
    columns = ", ".join(row[1] for row in _sql(home, "PRAGMA table_info(trunks)") if row[1] not in ("id", "name"))
    _sql(home, f"INSERT INTO trunks (name, {columns}) SELECT 'other', {columns} FROM trunks")  # noqa: S608
    (_, found) = await service.configuration(settings(home))
    assert (found.state, found.text) == ("warning", "none of 2 trunks is the default")


def _sql(home: Path, statement: str) -> list[Any]:
    db = sqlite3.connect(home / "dcx.db")
    rows = db.execute(statement).fetchall()
    db.commit()
    db.close()
    return rows


# -- what runs ----------------------------------------------------------------------------------------------


async def test_ports(home: Path) -> None:
    ports = {"sip_port": free(), "ari_port": free(), "ami_port": free(), "api_port": free()}
    assert states(await outer.ports(settings(home, **ports))) == ["ok", "ok"]
    with listening() as taken:
        found = await outer.ports(settings(home, **{**ports, "sip_port": taken}))
        assert (found[0].state, f"TCP port {taken}" in found[0].text) == ("wrong", True)
        assert "DCX_SIP_PORT" in found[0].mend


async def test_an_api_port_that_somebody_else_has(home: Path) -> None:
    elsewhere = web.Application()
    async with TestServer(elsewhere) as server:
        here = settings(home, api_port=server.port, ari_url="http://127.0.0.1:1/ari")
        assert [(f.state, "DCX_API_PORT" in f.mend) for f in await outer.ports(here)] == [("wrong", True)]
        assert (await outer.engine(here)).state == "wrong"


async def test_an_engine(home: Path) -> None:
    reasons: list[str | None] = [None]

    async def readiness() -> str | None:
        return reasons[-1]

    here = settings(home, api_port=free())
    assert (await outer.engine(here)).state == "warning"
    database = open_database(here.database_url)
    async with TestServer(make_app(database, readiness=readiness)) as server:
        here = settings(home, api_port=server.port)
        assert (await outer.engine(here)).state == "ok"
        assert states(await outer.ports(here))[-1] == "warning"  # an engine, but no Asterisk of this home
        reasons.append("Asterisk: not connected")
        found = await outer.engine(here)
        assert (found.state, found.text.endswith("Asterisk: not connected")) == ("wrong", True)
    await database.close()


@pytest.mark.parametrize(
    ("status", "registered", "wanted"),
    [(200, True, ["ok", "ok"]), (200, False, ["ok", "wrong"]), (401, False, ["wrong"]), (500, False, ["wrong"])],
)
async def test_ari(home: Path, status: int, registered: bool, wanted: list[str]) -> None:
    async def info(_: web.Request) -> web.Response:
        return web.json_response({"system": {"version": "22.1"}}, status=status)

    async def application(_: web.Request) -> web.Response:
        return web.json_response({}, status=200 if registered else 404)

    served = web.Application()
    served.add_routes([web.get("/ari/asterisk/info", info), web.get("/ari/applications/dcx-0", application)])
    async with TestServer(served) as server:
        here = settings(home, ari_url=f"http://127.0.0.1:{server.port}/ari", ari_password="x")
        found = await outer.ari(here)
        assert states(found) == wanted
    assert states(await outer.ari(here)) == ["wrong"]  # gone
    assert not any(word == "x" for each in found for word in each.text.split())


async def test_nothing_was_ever_started(home: Path) -> None:
    here = settings(home)
    assert states(await outer.asterisk(here)) == states(await outer.ari(here)) == states(await outer.ami(here))
    assert states(await outer.asterisk(here)) == ["warning"]
    assert not (home / "asterisk").exists()


async def test_ami_that_nobody_serves(home: Path) -> None:
    here = settings(home, ami_port=free(), ari_url="http://127.0.0.1:1/ari", ari_password="x")
    assert states(await outer.ami(here)) == ["warning"]


async def test_redis(home: Path) -> None:
    assert (await outer.redis(settings(home))).state == "ok"
    assert (await outer.redis(settings(home, workers=2))).state == "warning"
    assert (await outer.redis(settings(home / "none"))).state == "ok"
    assert not (home / "none").exists()
    opened = open_database(settings(home).database_url)
    for slot, age in (("dcx-0", 0), ("dcx-1", 0), ("dcx-2", 60_000)):
        async with opened.write() as session:
            session.add(Worker(slot=slot, seen_at=now_ms() - age))
    await opened.close()
    found = await outer.redis(settings(home))
    assert (found.state, "one of 2 workers" in found.text) == ("warning", True)
    found = await outer.redis(settings(home, redis_url=f"redis://:hush@127.0.0.1:{free()}"))
    assert found.state == "wrong"
    assert "hush" not in found.text


def test_on_the_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)
    monkeypatch.setenv("DCX_DEBIAN_MIRROR", "http://mirror.example/debian")  # where Asterisk is not fetched yet
    for name in ("SIP", "ARI", "AMI", "API"):
        monkeypatch.setenv(f"DCX_{name}_PORT", str(free()))
    runner = CliRunner()
    result = runner.invoke(app, ["--home", str(home), "doctor", "--json"])
    lines = json.loads(result.stdout)
    assert result.exit_code == 0, lines
    assert {line["check"] for line in lines} == {"settings", *(name for name, _ in outer.CHECKS)}
    assert not any(line["state"] == "wrong" for line in lines)
    (home / "dcx.db").write_bytes(b"no database " * 1000)
    result = runner.invoke(app, ["--home", str(home), "doctor"])
    assert result.exit_code == 1
    assert "→ Restore the file" in result.stdout
    monkeypatch.setenv("DCX_API_PORT", "many")
    result = runner.invoke(app, ["--home", str(home), "doctor", "--json"])
    assert (result.exit_code, json.loads(result.stdout)[0]["state"]) == (1, "wrong")
