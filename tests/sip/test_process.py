"""Starting, adopting and stopping Asterisk; fetching it, as far as that can be tested without a network."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from dcx_asterisk.apt import Apt
from dcx_asterisk.errors import AsteriskError, FetchFailed, PortTaken, StartFailed
from dcx_asterisk.fetch import Progress, ensure, present, tree_path
from dcx_asterisk.instance import Instance
from dcx_asterisk.mirror import Mirror
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import adopt, running, start

pytestmark = pytest.mark.sip


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    sip, ari, ami, rtp = free_ports(4, spacing=10)
    return Instance(home=tmp_path / "asterisk", sip_port=sip, ari_port=ari, ami_port=ami, rtp_ports=(rtp, rtp + 9))


async def test_an_asterisk_that_outlived_us_is_adopted(instance: Instance) -> None:
    first = await start(instance, die_with_parent=True)
    try:
        again = await start(instance)
        assert again.adopted
        assert again.pid == first.pid
        assert again.ari_password == first.ari_password
        assert "System uptime" in await again.command("core show uptime")
    finally:
        await first.stop()
    assert not first.alive
    assert await adopt(instance, first.tree) is None


async def test_a_killed_asterisk_is_not_adopted(instance: Instance) -> None:
    first = await start(instance, die_with_parent=True)
    os.kill(first.pid, signal.SIGKILL)
    assert first.process is not None
    await first.process.wait()
    async with running(instance) as second:
        assert not second.adopted
        assert second.pid != first.pid


async def test_changed_ports_of_a_running_asterisk_are_told(instance: Instance) -> None:
    async with running(instance):
        (other,) = free_ports(1)
        moved = Instance(home=instance.home, ari_port=other, sip_port=instance.sip_port)
        with pytest.raises(StartFailed, match="does not answer at"):
            await start(moved)


@pytest.mark.parametrize(
    ("kind", "field", "variable"),
    [
        (socket.SOCK_STREAM, "ari_port", "DCX_ARI_PORT"),
        (socket.SOCK_STREAM, "ami_port", "DCX_AMI_PORT"),
        (socket.SOCK_DGRAM, "sip_port", "DCX_SIP_PORT"),
    ],
)
async def test_a_taken_port_is_named_before_anything_starts(
    instance: Instance, kind: socket.SocketKind, field: str, variable: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", getattr(instance, field)))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(PortTaken, match=f"{variable}: ... port {getattr(instance, field)}"):
            await start(instance)
    assert not instance.home.exists()


async def test_an_asterisk_that_cannot_start_says_why(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    instance.etc.mkdir(parents=True)
    (instance.etc / "local.conf").write_text("[broken\n")
    (instance.home / "secrets.json").write_text("{")
    with pytest.raises(AsteriskError, match="damaged"):
        await start(instance)


async def test_a_home_with_a_long_path_works(instance: Instance, tmp_path: Path) -> None:
    """The path of a Unix socket is limited to 107 bytes."""
    deep = Instance(
        home=tmp_path / ("d" * 100),
        sip_port=instance.sip_port,
        ari_port=instance.ari_port,
        ami_port=instance.ami_port,
        rtp_ports=instance.rtp_ports,
    )
    async with running(deep) as asterisk:
        assert "uptime" in await asterisk.command("core show uptime")


async def test_the_log_is_rotated_when_it_has_grown(instance: Instance) -> None:
    async with running(instance) as asterisk:
        assert not await asterisk.rotate_log()
        assert await asterisk.rotate_log(limit_bytes=1)
        assert list(instance.log.glob("messages.*"))


async def test_recording_directories_are_there(instance: Instance) -> None:
    async with running(instance):
        assert (instance.spool / "recording").is_dir()
        assert (instance.spool / "monitor").is_dir()
        secret = instance.home / "secrets.json"
        assert secret.stat().st_mode & 0o077 == 0
        assert (instance.etc / "ari.conf").stat().st_mode & 0o077 == 0


def test_a_mirror_that_cannot_be_reached_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCX_DEBIAN_MIRROR", f"file://{tmp_path}/nowhere")
    steps: list[Progress] = []
    with pytest.raises(FetchFailed, match="nowhere") as caught:
        ensure("phones", steps.append, tmp_path / "cache")
    assert "DCX_DEBIAN_MIRROR" in caught.value.hint
    assert [step.step for step in steps] == ["index"]
    assert present("phones", tmp_path / "cache") is None
    assert not list((tmp_path / "cache").glob(".fetch-*"))


def test_what_a_killed_fetch_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCX_DEBIAN_MIRROR", f"file://{tmp_path}/nowhere")
    left = tmp_path / "cache" / ".fetch-dead" / "root"
    left.mkdir(parents=True)
    half_made = tree_path("phones", tmp_path / "cache") / "usr"
    half_made.mkdir(parents=True)
    assert present("phones", tmp_path / "cache") is None  # no manifest: not whole
    with pytest.raises(FetchFailed):
        ensure("phones", cache=tmp_path / "cache")
    assert not left.exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchFailed, match="cannot write the cache"):
        ensure("phones", cache=tmp_path / "file" / "cache")


def test_apt_keeps_out_of_the_machines_own_state(tmp_path: Path) -> None:
    Apt(tmp_path, Mirror("http://mirror.invalid/debian", "/k.gpg"))
    text = (tmp_path / "apt.conf").read_text()
    assert f'Dir::State "{tmp_path}/state"' in text
    assert (tmp_path / "sources.list").read_text() == (
        "deb [signed-by=/k.gpg] http://mirror.invalid/debian testing main\n"
    )


async def test_commands_are_bounded(instance: Instance) -> None:
    async with running(instance) as asterisk:
        os.kill(asterisk.pid, signal.SIGSTOP)
        try:
            with pytest.raises(AsteriskError, match="did not answer"):
                await asterisk.command("core show uptime", timeout_s=0.3)
        finally:
            os.kill(asterisk.pid, signal.SIGCONT)
        await asyncio.wait_for(asterisk.stop(), 15)
