"""DCX as a user starts it, and the servers it needs, for somebody who means to hurt them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from dcx_ari.local import instance_of
from dcx_ari.settings import Settings, read_settings
from dcx_ari.slots import pid_of, slot_names
from dcx_asterisk.servers import Postgres, Redis

SUPERVISOR = "dcx"  # the lock of `dcx up`
_LOOK_S = 0.1
_ASK_S = 2.0
_AGAIN_S = 0.5  # as a service manager would
_READY_S = 120.0
_END_S = 60.0


@dataclass
class System:
    """One `dcx up`, restarted whenever it ends. `ended` are its unasked ends, in words; `lost` the instants at which an
    Asterisk was found gone.
    """

    home: Path
    environment: Mapping[str, str]
    postgres: Postgres | None = None
    redis: Redis | None = None
    starts: int = 0
    ended: list[str] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    settings: Settings = field(init=False)
    _process: asyncio.subprocess.Process | None = None
    _struck: bool = False
    _stopping: bool = False
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.settings = read_settings(self.environment)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.settings.api_port}"

    @property
    def slots(self) -> list[str]:
        return slot_names(self.settings.app_name, self.settings.workers)

    # -- processes ------------------------------------------------------------------------------------------

    def workers(self) -> dict[str, int]:
        """Slots that have a process."""
        found = {slot: pid_of(self.home, slot) for slot in self.slots}
        return {slot: pid for slot, pid in found.items() if pid is not None}

    @property
    def supervisor(self) -> int | None:
        return pid_of(self.home, SUPERVISOR)

    @property
    def asterisk(self) -> int | None:
        """Its process, where one lives."""
        try:
            pid = int(instance_of(self.settings).pid_file.read_text())
            return pid if b"asterisk.conf" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    def api_holder(self) -> int | None:
        """The worker that serves the API: the one with the listening socket."""
        inodes = _listeners(self.settings.api_port)
        for pid in self.workers().values():
            with suppress(OSError):
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(OSError):
                        if os.readlink(entry).removeprefix("socket:[").removesuffix("]") in inodes:
                            return pid
        return None

    # -- running --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start it, and start it again whenever it ends, until `stop`."""
        while not self._stopping:
            await self._once()
            await asyncio.sleep(_AGAIN_S)

    async def _once(self) -> None:
        self.starts += 1
        with (self.home.parent / "up.log").open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "dcx_cli.main", "up"),
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._struck = False
        assert process.stdout is not None  # noqa: S101  asked for above
        if (await process.stdout.readline()).startswith(b"ready"):
            self._ready.set()
        await process.stdout.read()
        status = await process.wait()
        if not self._struck:
            self.ended.append(f"dcx up ended by itself with status {status}")

    def kill_supervisor(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._struck = True
            self._process.kill()

    async def first_ready(self) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(_READY_S):
            await self._ready.wait()

    async def stop(self) -> int:
        """End it in good order: its exit status. Raises TimeoutError."""
        self._stopping = self._struck = True
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.terminate()
        async with asyncio.timeout(_END_S):
            return await self._process.wait()

    async def watch(self, tell: Callable[[float], None]) -> None:
        """Tell of every Asterisk that is gone, at once; for ever."""
        before: int | None = None
        while True:
            now = self.asterisk
            if before is not None and now != before:
                self.lost.append(time.time())
                tell(self.lost[-1])
            before = now
            await asyncio.sleep(_LOOK_S)

    async def healthy(self, web: aiohttp.ClientSession) -> bool:
        """Whether everything runs and says that it can take calls."""
        if len(self.workers()) < len(self.slots):
            return False
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with web.get(f"{self.api}/ready", timeout=aiohttp.ClientTimeout(total=2 * _ASK_S)) as answer:
                return answer.status == 200
        return False

    async def dcx(self, *words: str) -> tuple[int, str]:
        """Run a command: its exit status, and all it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dcx_cli.main", *words),
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_READY_S):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")

    def leave_nothing(self) -> None:
        """For the end, however it came."""
        for pid in (self.supervisor, *self.workers().values(), self.asterisk):
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def running(system: System) -> AsyncIterator[None]:
    """`dcx up` for the length of the block; afterwards nothing of it is left."""
    task = asyncio.create_task(system.run(), name="dcx up")
    try:
        await system.first_ready()
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        system.leave_nothing()


def _listeners(port: int) -> set[str]:
    """Inodes of the sockets that listen on a TCP port (proc(5), /proc/net/tcp)."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found
