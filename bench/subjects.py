"""Who carries the calls: the plain dialplan, the floor, DCX. Each starts on a running Asterisk."""

import asyncio
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import books, ports, sipp
from bench.bed import Bed
from bench.proc import family
from bench.seed import BUYERS, database_url, seed

NUMBER = "+15125550100"
TRUNK = "bench-buyer"


@dataclass(frozen=True, slots=True)
class Work:
    """A subject at work: its own processes (none where Asterisk does it all), what is wrong with its rows, its home."""

    pids: list[int]
    complaints: Callable[[int], list[str]] = lambda placed: []  # of so many calls placed and ended
    home: Path = Path()


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to carry calls."""

    name: str
    title: str
    caller_host: str  # Asterisk knows by the caller's address whose call it is
    start: Callable[[Bed], AbstractAsyncContextManager[Work]]


async def push_trunks(bed: Bed, name: str, caller_host: str) -> None:
    """One endpoint for calls from `caller_host` (into the context `name`), one towards the buyer."""
    common = {"allow": "!all,ulaw", "direct_media": "no", "callerid": ""}
    await bed.push("aor", TRUNK, {"contact": f"sip:{sipp.BUYER_HOST}:{ports.BUYER}"})
    await bed.push("endpoint", TRUNK, {**common, "context": "none", "aors": TRUNK})
    await bed.push("endpoint", name, {**common, "context": name})
    await bed.push("identify", name, {"endpoint": name, "match": caller_host})


def ari_of(bed: Bed) -> list[str]:
    return [bed.asterisk.ari_url, bed.asterisk.ari_user, bed.asterisk.ari_password]


@asynccontextmanager
async def plain(bed: Bed) -> AsyncIterator[Work]:
    """One `Dial()` in the dialplan: what Asterisk costs with no program at all."""
    await push_trunks(bed, PLAIN.name, PLAIN.caller_host)
    # The pattern begins with "+" or a digit; dialplan patterns need one extension for each.
    for pattern in ("_X.", "_+X."):
        await bed.asterisk.command(
            f"dialplan add extension {pattern},1,Dial(PJSIP/${{EXTEN}}@{TRUNK},30) into {PLAIN.name}"
        )
    yield Work([])


@asynccontextmanager
async def floor(bed: Bed) -> AsyncIterator[Work]:
    """bench/floor.py as a process of its own."""
    await push_trunks(bed, FLOOR.name, FLOOR.caller_host)
    for pattern in ("_X.", "_+X."):
        await bed.asterisk.command(f"dialplan add extension {pattern},1,Stasis({FLOOR.name}) into {FLOOR.name}")
    command = [*bed.python, "-m", "bench.floor", *ari_of(bed), FLOOR.name]
    command += [f"PJSIP/{{number}}@{TRUNK}"]
    async with application(command, "ready") as child:
        yield Work([child.pid])


@asynccontextmanager
async def dcx(bed: Bed) -> AsyncIterator[Work]:
    """`dcx run` that routes among 100 buyers with caps on; it brings its own trunk."""
    async with dcx_run(bed, DCX.caller_host, buyers=BUYERS, caps=True) as work:
        yield work


@asynccontextmanager
async def dcx_one(bed: Bed) -> AsyncIterator[Work]:
    """`dcx run` that has one buyer to choose from, and no caps."""
    async with dcx_run(bed, DCX_ONE.caller_host, buyers=1, caps=False) as work:
        yield work


@asynccontextmanager
async def dcx_run(
    bed: Bed,
    caller_host: str,
    *,
    buyers: int,
    caps: bool,
    more: Callable[[str], Awaitable[None]] | None = None,
    workers: int | None = None,
) -> AsyncIterator[Work]:
    """`dcx run` with routing, rows, money and events on; `more` adds to its database (given as URL) before that.

    With `workers` a supervisor keeps so many; without, it is one process.
    """
    program = Path(sys.executable).with_name("dcx")
    if importlib.util.find_spec("dcx_cli.main") is None or not program.exists():
        raise RuntimeError("left out, this tree has no `dcx run` yet")
    with tempfile.TemporaryDirectory(prefix="dcx-bench-") as home:
        await seed(database_url(Path(home)), NUMBER, caller_host, buyers=buyers, caps=caps)
        if more is not None:
            await more(database_url(Path(home)))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DCX_")},
            "DCX_HOME": home,
            "DCX_API_PORT": str(ports.API),
            "DCX_ARI_URL": bed.asterisk.ari_url,
            "DCX_ARI_USER": bed.asterisk.ari_user,
            "DCX_ARI_PASSWORD": bed.asterisk.ari_password,
        }
        command = [*bed.python, str(program), "run"]
        command += [] if workers is None else ["--workers", str(workers)]
        async with application(command, "ready", environment) as child:
            yield Work(family(child.pid), partial(books.complaints, Path(home)), Path(home))


@asynccontextmanager
async def application(
    command: list[str], ready: str, environment: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that is usable once a line of its output contains `ready`; stopped at the end.

    Raises RuntimeError with its last words if it ends before that, TimeoutError after 30 s.
    """
    root = Path(__file__).parents[1]
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=root,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            await wait_for_line(child, ready)
        async with asyncio.TaskGroup() as tasks:
            drain = tasks.create_task(swallow(child))
            try:
                yield child
            finally:
                drain.cancel()
    finally:
        await stop(child)


async def wait_for_line(child: asyncio.subprocess.Process, ready: str) -> None:
    said: list[str] = []
    while line := await output(child).readline():
        said.append(line.decode(errors="replace").rstrip())
        if ready in said[-1]:
            return
    raise RuntimeError("ended before it was ready: " + " / ".join(said[-3:]))


def output(child: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if child.stdout is None:
        raise RuntimeError("started without a pipe for its output")
    return child.stdout


async def swallow(child: asyncio.subprocess.Process) -> None:
    """Read what it prints, so that it never blocks on a full pipe."""
    while await output(child).read(65536):
        pass


async def stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGINT)  # a profiler around it writes its figures on this, not on SIGTERM
    try:
        async with asyncio.timeout(5):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


PLAIN = Subject("bench-plain", "dialplan `Dial()`", "127.0.0.21", plain)
FLOOR = Subject("bench-floor", "floor script", "127.0.0.22", floor)
DCX_ONE = Subject("bench-dcx-one", "DCX, one buyer", "127.0.0.24", dcx_one)
DCX = Subject("bench-dcx", "DCX, 100 buyers and caps", "127.0.0.23", dcx)
SUBJECTS = (PLAIN, FLOOR, DCX_ONE, DCX)
GOAL_RATE = 50
TOGETHER = (((PLAIN, FLOOR, DCX), None), ((FLOOR, DCX_ONE), GOAL_RATE))
"""Who is measured in turn on one Asterisk, at all rates or one; two engines would take each other's calls."""
TITLES = {subject.name: subject.title for subject in SUBJECTS}
