"""Keeps the worker processes of one home up: starts them, restarts the dead, replaces them one by one.

It decides nothing about calls and opens no database, so that there is next to nothing in it that can fail. Workers tell
how they do as sd_notify(3) has it; when the supervisor dies, the kernel kills them, and their calls wait in Asterisk
for the next.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dcx_ari.notify import ALIVE, READY
from dcx_asterisk.spawn import killed_with_parent

log = logging.getLogger(__name__)

READY_S = 120.0  # a first start may migrate a large database
SILENT_S = 20.0  # a worker gives a sign of life every second
STEADY_S = 10.0  # one that lived this long is restarted at once
BACKOFF_S = (0.25, 5.0)
ENDED_CALLS = 3
"""Exit status of a worker that ended calls which nobody could take over."""
_KILL_S = 5.0
_KILLED_AT_FIRST = 5
_LONGEST_LINE = 512

Command = Callable[[str], Sequence[str]]
"""argv of the worker of a slot."""


class WorkerFailed(Exception):
    """A worker ended before it was ready for the first time; `status` is its exit status. It has said why."""

    def __init__(self, slot: str, status: int) -> None:
        super().__init__(f"{slot} could not start (exit status {status})")
        self.status = status


def backoff_s(failures: int) -> float:
    """Seconds before the next start, after so many short lives in a row.

    >>> [backoff_s(n) for n in (0, 1, 2, 3, 9)]
    [0.0, 0.0, 0.25, 0.5, 5.0]
    """
    first, most = BACKOFF_S
    return 0.0 if failures < 2 else min(most, first * 2.0 ** min(failures - 2, 20))


@dataclass(slots=True)
class _Slot:
    """One slot and the process that has it now."""

    name: str
    ears: _Ears
    process: asyncio.subprocess.Process | None = None
    failures: int = 0
    told: set[int] = field(default_factory=set)  # signals that we have sent to this process
    drained: bool = False
    wanted: asyncio.Event = field(default_factory=asyncio.Event)  # again, after it was drained

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def tell(self, number: int) -> None:
        if self.process is not None and self.alive:
            self.told.add(number)
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class _Ears(asyncio.DatagramProtocol):
    """What a worker says of itself."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.ready = asyncio.Event()
        self.heard_at = 0.0

    def datagram_received(self, data: bytes, _addr: object) -> None:
        lines = data[:_LONGEST_LINE].decode(errors="replace").splitlines()
        if ALIVE in lines or READY in lines:
            self.heard_at = asyncio.get_running_loop().time()
        if READY in lines:
            self.ready.set()


class Supervisor:
    """Runs `command(slot)` for every slot until told to stop. `environment` is what each worker gets besides."""

    def __init__(self, slots: Sequence[str], command: Command, environment: Mapping[str, str]) -> None:
        self._names = slots
        self._command = command
        self._environment = environment
        self._slots: list[_Slot] = []
        self._stopping = asyncio.Event()
        self._replacing = asyncio.Event()

    def stop(self) -> None:
        """Have the workers end in good order; a second time: at once."""
        for slot in self._slots:
            slot.tell(signal.SIGINT)  # not SIGTERM: each would leave its calls to the others
        self._stopping.set()

    def replace(self) -> None:
        """Have every worker replaced by a new process, one after the other; a new one for those that were drained."""
        self._replacing.set()

    async def run(self, ready: Callable[[], None]) -> int:
        """Until all workers have ended after `stop`, or were drained one by one; 0, or the exit status of one that had
        to end calls. `ready` is called once all take calls. Raises WorkerFailed.
        """
        async with self._ears() as slots:
            self._slots = slots
            try:
                await self._first(slots, ready)
                if not self._stopping.is_set():
                    await self._keep(slots)
                return await self._last(slots)
            finally:
                await self._kill(slots)

    @asynccontextmanager
    async def _ears(self) -> AsyncIterator[list[_Slot]]:
        """A socket for each slot, in a folder that nobody else can write into."""
        loop = asyncio.get_running_loop()
        opened: list[asyncio.DatagramTransport] = []
        with tempfile.TemporaryDirectory(prefix="dcx-") as folder:
            try:
                slots = []
                for name in self._names:
                    path = str(Path(folder) / name)
                    ears = _Ears(path)
                    transport, _ = await loop.create_datagram_endpoint(
                        lambda ears=ears: ears,  # type: ignore[misc]
                        family=socket.AF_UNIX,
                        local_addr=path,
                    )
                    opened.append(transport)
                    slots.append(_Slot(name, ears))
                yield slots
            finally:
                for transport in opened:
                    transport.close()

    async def _start(self, slot: _Slot) -> None:
        slot.ears.ready.clear()
        slot.ears.heard_at = asyncio.get_running_loop().time()
        slot.told = set()
        slot.process = await asyncio.create_subprocess_exec(
            *self._command(slot.name),
            env={**os.environ, **self._environment, "DCX_APP_NAME": slot.name, "NOTIFY_SOCKET": slot.ears.path},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=killed_with_parent,
            start_new_session=True,  # the terminal's Ctrl-C is for us to pass on
        )

    # -- the beginning --------------------------------------------------------------------------------------

    async def _first(self, slots: Sequence[_Slot], ready: Callable[[], None]) -> None:
        """One worker prepares the database, then the others follow."""
        for some in (slots[:1], slots[1:]):
            for slot in some:
                await self._start(slot)
            for slot in some:
                while not await self._until_ready(slot) and not self._stopping.is_set():
                    await self._first_again(slot)
            if self._stopping.is_set():
                return
        ready()

    async def _first_again(self, slot: _Slot) -> None:
        """A worker that was killed is no reason to end, and with us Asterisk and its calls. Raises WorkerFailed."""
        status = 1 if slot.process is None else slot.process.returncode or 1
        slot.failures += 1
        if status > 0 or slot.failures > _KILLED_AT_FIRST:
            raise WorkerFailed(slot.name, abs(status))
        log.error("%s was killed by signal %d before it was ready, and is started again", slot.name, -status)
        await asyncio.sleep(backoff_s(slot.failures))
        await self._start(slot)

    async def _until_ready(self, slot: _Slot) -> bool:
        """Whether it takes calls now; False where it ended first, or needs too long."""
        process = slot.process
        if process is None:
            return False
        ready, ended = asyncio.create_task(slot.ears.ready.wait()), asyncio.create_task(process.wait())
        try:
            await asyncio.wait([ready, ended], timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
            return slot.ears.ready.is_set() and process.returncode is None
        finally:
            ready.cancel()
            ended.cancel()

    # -- the work -------------------------------------------------------------------------------------------

    async def _keep(self, slots: Sequence[_Slot]) -> None:
        """Until we stop, or every worker was drained."""
        tasks = [asyncio.create_task(self._keep_up(slot), name=f"keeper of {slot.name}") for slot in slots]
        tasks.append(asyncio.create_task(self._replace_when_asked(slots), name="replacing"))
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for each in (*tasks, stopping):
                each.cancel()
            await asyncio.wait([*tasks, stopping])

    async def _keep_up(self, slot: _Slot) -> None:
        """Restart the worker whenever it dies, for ever. One that was drained waits until it is wanted again."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            status = await self._until_ended(slot)
            if self._stopping.is_set():
                await asyncio.get_running_loop().create_future()  # the end is at work
            if status in (0, ENDED_CALLS) and signal.SIGHUP not in slot.told:
                await self._drained(slot)
                continue
            slot.failures = 0 if status == 0 or loop.time() - began >= STEADY_S else slot.failures + 1
            if status != 0:
                log.error("%s ended with status %d and is started again", slot.name, status)
            await asyncio.sleep(backoff_s(slot.failures))
            await self._start(slot)

    async def _drained(self, slot: _Slot) -> None:
        log.warning("%s was drained: it stays down until a restart is asked for", slot.name)
        slot.drained = True
        if all(each.drained for each in self._slots):
            self._stopping.set()
        await slot.wanted.wait()
        slot.wanted.clear()
        slot.drained = False
        await self._start(slot)

    async def _until_ended(self, slot: _Slot) -> int:
        """The exit status. A worker that gives no sign of life is killed: its calls go on without it."""
        process = slot.process
        if process is None:
            return 0
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                return await asyncio.wait_for(process.wait(), 1.0)
            silent = loop.time() - slot.ears.heard_at
            limit = SILENT_S if slot.ears.ready.is_set() else READY_S
            if silent >= limit:
                log.error("%s has given no sign of life for %.0f s: it is killed", slot.name, silent)
                slot.tell(signal.SIGKILL)

    async def _replace_when_asked(self, slots: Sequence[_Slot]) -> None:
        while True:
            await self._replacing.wait()
            self._replacing.clear()
            for slot in slots:
                await self._replace(slot)

    async def _replace(self, slot: _Slot) -> None:
        """Returns once the new process takes calls, or `READY_S` has passed."""
        log.info("replacing %s", slot.name)
        slot.ears.ready.clear()
        if slot.drained:
            slot.wanted.set()
        slot.tell(signal.SIGHUP)
        try:
            await asyncio.wait_for(slot.ears.ready.wait(), READY_S)
        except TimeoutError:
            log.error("%s is not ready after %g s", slot.name, READY_S)

    # -- the end --------------------------------------------------------------------------------------------

    async def _last(self, slots: Sequence[_Slot]) -> int:
        """Wait for the workers that were told to end; each bounds its own end. One that was started in the very moment
        of `stop` was not told yet.
        """
        for slot in slots:
            if signal.SIGINT not in slot.told:
                slot.tell(signal.SIGINT)
        statuses = [await slot.process.wait() for slot in slots if slot.process is not None]
        return next((status if status > 0 else 1 for status in statuses if status != 0), 0)

    async def _kill(self, slots: Sequence[_Slot]) -> None:
        for slot in slots:
            slot.tell(signal.SIGKILL)
        for slot in slots:
            if slot.process is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(slot.process.wait(), _KILL_S)
