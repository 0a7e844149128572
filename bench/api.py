"""The API: a list of 50 buyers over HTTP, beside a bare aiohttp handler that answers with the same bytes.

Server and client have a core each. What counts is the server's processor time: other work on the machine takes
turns with it, but is not in it. `python -m bench.api` prints this part alone.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import proc
from bench.table import Row, ratio, section_markdown

NOTES = (
    "API: 50 buyers with caps, counters and schedules, read with a key that is checked, from SQLite; 4 connections "
    "kept alive. Beside it: an aiohttp handler that answers with the same bytes and does nothing else. Requests per "
    "second of the server's own processor time, medians of turns.",
)
PORT = 24_090
LISTED = 50
CONNECTIONS = 4
GOAL = 300
RIVAL = "bare aiohttp, the same bytes"
_PATH = f"/api/buyers?limit={LISTED}&sort_by=name"
_ROOT = Path(__file__).parents[1]


def rows(quick: bool) -> list[Row]:
    """The figures of this part."""
    turns, seconds = (1, 1.0) if quick else (7, 2.0)
    with tempfile.TemporaryDirectory(prefix="dcx-bench-api-") as folder:
        home = Path(folder)
        ours: list[float] = []
        bare: list[float] = []
        with serving("dcx", PORT, home) as dcx, serving("bare", PORT + 1, home) as other:
            key = (home / "key").read_text()
            for _ in range(turns):
                ours.append(load(PORT, key, dcx, seconds))
                bare.append(load(PORT + 1, key, other, seconds))
        mine, theirs = statistics.median(ours), statistics.median(bare)
        subject = f"list of {LISTED} buyers, {(home / 'answer').stat().st_size // 1024} kB"
    goal = f"≥ {GOAL} requests/s"
    return [Row(subject, "one core", "requests/s", mine, theirs, RIVAL, ratio(mine, theirs), goal, mine >= GOAL)]


@contextmanager
def serving(what: str, port: int, home: Path) -> Iterator[int]:
    """A server in a process of its own, on the first core; its process id."""
    command = [sys.executable, "-m", "bench.api", what, str(port), str(home)]
    child = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline() if child.stdout is not None else ""
        if line != "ready\n":
            raise RuntimeError(f"{what} did not start: {line}")
        yield child.pid
    finally:
        child.terminate()
        child.wait(20)
        if child.stdout is not None:
            child.stdout.close()


def load(port: int, key: str, pid: int, seconds: float) -> float:
    """Requests per second of the server's processor time."""
    pin(-1)
    asyncio.run(drive(port, key, min(seconds, 0.3)))
    before = proc.cpu_ms([pid])
    answered = asyncio.run(drive(port, key, seconds))
    return answered * 1000 / max(proc.cpu_ms([pid]) - before, 1)


async def drive(port: int, key: str, seconds: float) -> int:
    """Ask over kept connections until the time is up; how many answers came."""
    until = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(ask(port, key, until) for _ in range(CONNECTIONS))))


async def ask(port: int, key: str, until: float) -> int:
    """One connection, one request after the other. Raises RuntimeError for another answer than 200."""
    request = f"GET {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    try:
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
            length = head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            answered += 1
    finally:
        writer.close()
        await writer.wait_closed()
    return answered


def pin(core: int) -> None:
    """Keep this process to one of the cores it may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        os.sched_setaffinity(0, {allowed[core]})


def main() -> None:
    if len(sys.argv) == 1:
        from bench.table import Section

        print(section_markdown(Section("API", rows(quick=False), list(NOTES))))
        return
    from bench.api_server import serve

    pin(0)
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), f"{_PATH}"))


if __name__ == "__main__":
    main()
