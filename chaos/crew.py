"""The phones of one side, seen from the program that started them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chaos.phones import NEWS, Ask, Drop, Finish, Order, Status
from chaos.records import Seen

_ANSWER_S = 30.0
_LINE = 1 << 20


class Crew:
    """A process of phones. `seen` are its calls that are over."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.seen: list[Seen] = []
        self.late_ms = 0.0
        self._process = process
        self._answers: asyncio.Queue[Status] = asyncio.Queue()

    async def listen(self) -> None:
        """Until the process ends."""
        if self._process.stdout is None:
            return
        while line := await self._process.stdout.readline():
            news = NEWS.decode(line)
            if isinstance(news, Status):
                self.late_ms = max(self.late_ms, news.late_ms)
                self._answers.put_nowait(news)
            else:
                self.seen.append(news)

    def tell(self, order: Order) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    def dropped(self, at: float) -> None:
        self.tell(Drop(at))

    async def ready(self) -> None:
        await self._answer()

    async def open_calls(self) -> int:
        self.tell(Ask())
        return (await self._answer()).open

    async def finish(self) -> None:
        """Have what is open reported, and the process ended."""
        self.tell(Finish())
        await self._answer()
        await self._process.wait()

    async def _answer(self) -> Status:
        async with asyncio.timeout(_ANSWER_S):
            return await self._answers.get()


@asynccontextmanager
async def crew(
    side: str, host: str, port: int, *, switch: int, seed: int, talk_s: float, log: Path
) -> AsyncIterator[Crew]:
    """`callers` or `buyers` at `host`, from `port` on, whose Asterisk listens on port `switch`."""
    words = ["--host", host, "--port", port, "--switch", switch, "--seed", seed, "--talk-s", talk_s]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chaos.phones", side, *map(str, words)),
            cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            limit=_LINE,
        )
    made = Crew(process)
    listening = asyncio.create_task(made.listen(), name=side)
    try:
        await made.ready()
        yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait([listening])
