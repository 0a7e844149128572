"""The `dcx` command as a process of its own, with a home and ports of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dcx_asterisk.ports import free_ports

_RTP = 40


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


@dataclass
class Up:
    """A `dcx up` (or `run`) that runs. `ready` is the line it printed when it was."""

    process: asyncio.subprocess.Process
    ready: str = ""

    async def line(self, timeout_s: float = 60) -> str:
        """The next line of its output; empty when there is none any more."""
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout_s):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def end(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> Said:
        """Send a signal; how it ended, and what else it printed."""
        self.process.send_signal(number)
        async with asyncio.timeout(timeout_s):
            out, err = await self.process.communicate()
        return Said(self.process.returncode or 0, out.decode(), err.decode())


@dataclass
class Home:
    """A home with free ports. `environment` holds what commands are told."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        api, sip, ari, ami = free_ports(4, spacing=2)
        (rtp,) = free_ports(1, spacing=_RTP)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DCX_")}
        self.environment = {
            **kept,
            "DCX_HOME": str(self.path),
            "DCX_API_PORT": str(api),
            "DCX_SIP_PORT": str(sip),
            "DCX_ARI_PORT": str(ari),
            "DCX_AMI_PORT": str(ami),
            "DCX_RTP_PORTS": f"{rtp}-{rtp + _RTP - 1}",
            "DCX_DRAIN_S": "0",  # a test that ends with calls up does not wait for them
            **self.environment,
        }

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.environment['DCX_API_PORT']}"

    @property
    def sip_port(self) -> int:
        return int(self.environment["DCX_SIP_PORT"])

    @property
    def asterisk_pid(self) -> int | None:
        """The process of this home's Asterisk, if one runs."""
        try:
            pid = int((self.path / "asterisk" / "run" / "asterisk.pid").read_text())
            return pid if b"asterisk.conf" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    @property
    def asterisk_runs(self) -> bool:
        return self.asterisk_pid is not None

    async def start(self, *words: str) -> Up:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dcx_cli.main",
            *words,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return Up(process)

    async def run(self, *words: str, timeout_s: float = 60) -> Said:
        """Run a command to its end."""
        up = await self.start(*words)
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await up.process.communicate()
        finally:
            await _kill(up.process)
        return Said(up.process.returncode or 0, out.decode(), err.decode())

    @asynccontextmanager
    async def up(self, *words: str) -> AsyncIterator[Up]:
        """`dcx up`, ready; afterwards nothing of it is left, however it ended."""
        up = await self.start(*(words or ("up",)))
        try:
            up.ready = await up.line()
            if not up.ready.startswith("ready"):
                said = await up.end()
                raise AssertionError(f"not ready: {up.ready!r}, {said}")
            yield up
        finally:
            await _kill(up.process)

    def kill_asterisk(self) -> None:
        """For the end of a test: what a killed engine left running."""
        if (pid := self.asterisk_pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()
