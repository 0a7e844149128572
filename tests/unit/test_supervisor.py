"""The supervisor with real processes: small programs that say how they do, and end in every way."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dcx_ari import supervisor as module
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.supervisor import ENDED_CALLS, Supervisor, WorkerFailed

pytestmark = pytest.mark.unit

# Notes each start with its process number in a file of its slot; SIGHUP and SIGTERM end it with 0, SIGINT with 7.
WORKER = """
import os, pathlib, signal, sys, time
from dcx_ari.notify import ALIVE, READY, notify
folder, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
def end(number, _frame):
    with open(folder / f"{os.environ['DCX_APP_NAME']}.told", "a") as told:
        told.write(signal.Signals(number).name + "\\n")
    os._exit(7 if number == signal.SIGINT else 0)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, end)
if mode == "fails":
    sys.exit(5)
if mode == "killed":
    once = folder / "once"
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
if mode == "killed always":
    os.kill(os.getpid(), signal.SIGKILL)
notify(READY)
with open(folder / os.environ["DCX_APP_NAME"], "a") as starts:
    starts.write(f"{os.getpid()}\\n")
while True:
    time.sleep(0.05)
    if mode != "silent":
        notify(ALIVE)
"""
LONG_S = 30.0


@dataclass
class Run:
    """A supervisor at work on programs that write into `folder`."""

    supervisor: Supervisor
    folder: Path
    task: asyncio.Task[int]
    ready: list[int] = field(default_factory=list)

    def starts(self, slot: str) -> list[int]:
        try:
            return [int(line) for line in (self.folder / slot).read_text("utf-8").splitlines()]
        except FileNotFoundError:
            return []

    def told(self, slot: str) -> list[str]:
        try:
            return (self.folder / f"{slot}.told").read_text("utf-8").split()
        except FileNotFoundError:
            return []

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(LONG_S):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not in time: {what}") from None

    async def started(self, slot: str, times: int) -> int:
        await self.until(lambda: len(self.starts(slot)) >= times, f"{slot} is started {times} times")
        return self.starts(slot)[times - 1]


@asynccontextmanager
async def supervised(folder: Path, slots: list[str], modes: dict[str, str] | None = None) -> AsyncIterator[Run]:
    def command(slot: str) -> list[str]:
        return [sys.executable, "-c", WORKER, str(folder), (modes or {}).get(slot, "")]

    folder.mkdir(exist_ok=True)
    supervisor = Supervisor(slots, command, {})
    ready: list[int] = []
    task = asyncio.create_task(supervisor.run(lambda: ready.append(1)))
    run = Run(supervisor, folder, task, ready)
    try:
        yield run
    finally:
        with suppress(WorkerFailed):
            await cancel_and_wait(task)
    for slot in slots:
        for pid in run.starts(slot):
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_all_are_started_and_stopped(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        assert [len(run.starts(slot)) for slot in ("a-0", "a-1")] == [1, 1]
        run.supervisor.stop()
        assert await run.task == 7  # what the workers said
        assert run.told("a-0") == run.told("a-1") == ["SIGINT"]  # not each for itself, but all
        assert run.ready == [1]


async def test_a_worker_that_is_killed_before_it_was_ready_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"], {"a-0": "killed"}) as run:
        await run.until(lambda: run.ready, "ready")
        assert [len(run.starts(slot)) for slot in ("a-0", "a-1")] == [1, 1]
    monkeypatch.setattr(module, "BACKOFF_S", (0.01, 0.01))
    async with supervised(tmp_path / "other", ["a-0"], {"a-0": "killed always"}) as run:
        with pytest.raises(WorkerFailed) as failed:
            await run.task
        assert failed.value.status == signal.SIGKILL


async def test_a_dead_worker_is_started_again_and_its_neighbour_left_alone(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        for times in (1, 2, 3):
            os.kill(await run.started("a-0", times), signal.SIGKILL)
        await run.started("a-0", 4)
        assert len(run.starts("a-1")) == 1


async def test_one_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"], {"a-1": "fails"}) as run:
        with pytest.raises(WorkerFailed) as failed:
            await run.task
        assert failed.value.status == 5
        assert run.ready == []


async def test_a_silent_one_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.5)
    async with supervised(tmp_path, ["a-0"], {"a-0": "silent"}) as run:
        await run.started("a-0", 2)


async def test_workers_are_replaced_one_after_the_other(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        run.supervisor.replace()
        await run.started("a-0", 2)
        await run.started("a-1", 2)
        assert run.told("a-0") == run.told("a-1") == ["SIGHUP"]


async def test_a_drained_one_stays_down_until_it_is_wanted(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        os.kill(run.starts("a-0")[0], signal.SIGTERM)
        await run.until(lambda: run.told("a-0"), "told")
        run.supervisor.replace()  # the other is replaced as well, after this one
        await run.started("a-1", 2)
        assert len(run.starts("a-0")) == 2


async def test_when_all_are_drained_there_is_nothing_left_to_do(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        for slot in ("a-0", "a-1"):
            os.kill(run.starts(slot)[0], signal.SIGTERM)
        assert await asyncio.wait_for(run.task, LONG_S) == 0


async def test_stopped_before_it_was_ready(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.started("a-0", 1)
        run.supervisor.stop()
        await asyncio.wait_for(run.task, LONG_S)
        assert run.ready == []


async def test_one_that_was_started_in_the_moment_of_the_end_is_told_too(tmp_path: Path) -> None:
    async with supervised(tmp_path, ["a-0", "a-1"]) as run:
        await run.until(lambda: run.ready, "ready")
        slot = next(each for each in run.supervisor._slots if each.name == "a-1")
        former = slot.process
        await run.supervisor._start(slot)  # as its keeper does when it has just died
        await run.started("a-1", 2)
        started, slot.process = slot.process, None  # not known yet when the others are told
        run.supervisor.stop()
        slot.process = started
        await asyncio.wait_for(run.task, LONG_S)
        assert run.told("a-1") == ["SIGINT"]
        assert former is not None
        former.kill()
        await former.wait()


def test_a_worker_that_ended_calls_was_drained_as_well() -> None:
    assert ENDED_CALLS not in (0, 1, 2)  # those of a command line that went well, failed, was asked wrongly
