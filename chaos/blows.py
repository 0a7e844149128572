"""What is done to the system, and when: drawn from the seed, each healed before it is called over."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp

from chaos.records import Blow
from chaos.system import System

WEIGHTS = {
    "worker-kill": 6,
    "worker-stop": 3,
    "worker-restart": 1,
    "api-kill": 3,
    "api-stop": 1,
    "supervisor-kill": 1,
    "redis-kill": 2,
    "redis-stop": 1,
    "postgres-kill": 2,
    "postgres-stop": 1,
    "asterisk-kill": 1,
    "asterisk-stop": 1,
}
"""How often each is drawn. `-kill` is kill -9, `-stop` SIGSTOP for a while and then SIGCONT, `worker-restart` is
`dcx workers restart`. `asterisk-freeze`, which takes half a minute, is done where it is asked for by its name."""
FREEZE = "asterisk-freeze"
_HEALED_S = 90.0
_LOOK_S = 0.1
_NOTICED_S = 0.3  # so that nobody takes what is about to break for healthy
_UNHEALED = "was not healed"


def kinds_of(only: Sequence[str], *, postgres: bool, redis: bool) -> dict[str, int]:
    """Kinds with their weights. `only` names kinds or families such as `worker`; empty: all.

    >>> list(kinds_of(["api", "worker-stop"], postgres=False, redis=False))
    ['worker-stop', 'api-kill', 'api-stop']
    """
    absent = {name for name, there in (("postgres", postgres), ("redis", redis)) if not there}
    known = {**WEIGHTS, FREEZE: 0}
    unknown = [name for name in only if name not in known and name not in {kind.partition("-")[0] for kind in known}]
    if unknown:
        raise ValueError(f"no such blow: {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = {
        kind: weight or int(FREEZE in only)
        for kind, weight in known.items()
        if kind.partition("-")[0] not in absent and (not only or kind in only or kind.partition("-")[0] in only)
    }
    return {kind: weight for kind, weight in chosen.items() if weight}


def plan(seed: int, kinds: dict[str, int], kills: int, first_s: float, last_s: float) -> list[tuple[float, str]]:
    """So many blows, each at a random instant (seconds from the start). Every kind comes once before any comes by
    weight, as far as `kills` goes."""
    draw = random.Random(f"{seed}/blows")
    if not kinds:
        return []
    each = list(kinds)
    draw.shuffle(each)
    chosen = (each + draw.choices(list(kinds), list(kinds.values()), k=kills))[:kills]
    draw.shuffle(chosen)
    return list(zip(sorted(draw.uniform(first_s, last_s) for _ in chosen), chosen, strict=True))


class Striker:
    """Strikes one system. `done` are the blows, healed or not."""

    def __init__(self, system: System, web: aiohttp.ClientSession, seed: int) -> None:
        self.done: list[Blow] = []
        self._system = system
        self._web = web
        self._draw = random.Random(f"{seed}/struck")
        self._locks: dict[str, asyncio.Lock] = {}
        self._acts: dict[str, Callable[[Blow], Awaitable[None]]] = {
            "worker-kill": self._kill_worker,
            "worker-stop": self._stop_worker,
            "worker-restart": self._restart,
            "api-kill": self._kill_api,
            "api-stop": self._stop_api,
            "supervisor-kill": self._kill_supervisor,
            "redis-kill": self._kill_redis,
            "redis-stop": self._stop_redis,
            "postgres-kill": self._kill_postgres,
            "postgres-stop": self._stop_postgres,
            "asterisk-kill": self._kill_asterisk,
            "asterisk-stop": self._stop_asterisk,
            FREEZE: self._freeze_asterisk,
        }

    async def strike(self, kind: str) -> Blow:
        """Returns when everything is healthy again, or 90 s have passed. Blows at the same part wait for each other."""
        async with self._locks.setdefault(kind.partition("-")[0], asyncio.Lock()):
            blow = Blow(kind, "", time.time())
            self.done.append(blow)
            await self._acts[kind](blow)
            until = time.monotonic() + _HEALED_S
            while not await self._system.healthy(self._web):
                if time.monotonic() > until:
                    blow.note = _UNHEALED
                    break
                await asyncio.sleep(_LOOK_S)
            blow.until = time.time()
            return blow

    # -- workers --------------------------------------------------------------------------------------------

    async def _kill_worker(self, blow: Blow) -> None:
        await self._kill(blow, self._worker(blow))

    async def _stop_worker(self, blow: Blow) -> None:
        await self._pause(blow, self._worker(blow), 0.3, 6.0)

    async def _kill_api(self, blow: Blow) -> None:
        await self._kill(blow, self._system.api_holder())

    async def _stop_api(self, blow: Blow) -> None:
        await self._pause(blow, self._system.api_holder(), 0.3, 6.0)

    async def _restart(self, blow: Blow) -> None:
        status, said = await self._system.dcx("workers", "restart")
        blow.target = "all workers"
        blow.note = "" if status == 0 else said.strip()[-200:]

    async def _kill_supervisor(self, blow: Blow) -> None:
        blow.target = "dcx up"
        self._system.kill_supervisor()
        await asyncio.sleep(_NOTICED_S)

    def _worker(self, blow: Blow) -> int | None:
        workers = self._system.workers()
        if not workers:
            return None
        blow.target = self._draw.choice(sorted(workers))
        return workers[blow.target]

    # -- servers --------------------------------------------------------------------------------------------

    async def _kill_redis(self, blow: Blow) -> None:
        if server := self._system.redis:
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.sleep(self._draw.uniform(0.2, 4.0))
            await asyncio.to_thread(server.start)

    async def _stop_redis(self, blow: Blow) -> None:
        if server := self._system.redis:
            await self._pause(blow, server.pid, 0.3, 5.0)

    async def _kill_postgres(self, blow: Blow) -> None:
        if server := self._system.postgres:
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.sleep(self._draw.uniform(0.2, 4.0))
            await asyncio.to_thread(server.start)

    async def _stop_postgres(self, blow: Blow) -> None:
        if server := self._system.postgres:
            await self._pause(blow, server.pid, 0.3, 5.0)

    # -- Asterisk -------------------------------------------------------------------------------------------

    async def _kill_asterisk(self, blow: Blow) -> None:
        await self._kill(blow, self._system.asterisk)

    async def _stop_asterisk(self, blow: Blow) -> None:
        await self._pause(blow, self._system.asterisk, 0.3, 4.0)

    async def _freeze_asterisk(self, blow: Blow) -> None:
        """For ever: somebody has to notice."""
        before = self._system.asterisk
        self._signal(blow, before, signal.SIGSTOP)
        for _ in range(round(_HEALED_S / _LOOK_S)):
            if self._system.asterisk not in (before, None):
                return
            await asyncio.sleep(_LOOK_S)

    # -- how ------------------------------------------------------------------------------------------------

    async def _kill(self, blow: Blow, pid: int | None) -> None:
        self._signal(blow, pid, signal.SIGKILL)
        await asyncio.sleep(_NOTICED_S)

    def _signal(self, blow: Blow, pid: int | None, number: int) -> None:
        blow.target = f"{blow.target} process {pid}".strip()
        if pid is None:
            blow.note = "there was none at that moment"
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    async def _pause(self, blow: Blow, pid: int | None, least_s: float, most_s: float) -> None:
        """A process and its children stand still for a while."""
        blow.target = f"{blow.target} process {pid}".strip()
        seconds = self._draw.uniform(least_s, most_s)
        if pid is None:
            blow.note = "there was none at that moment"
            return
        stopped = [pid, *_children(pid)]
        try:
            for each in stopped:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            for each in stopped:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def unhealed(blows: Iterable[Blow]) -> list[str]:
    return [f"{blow.kind} {blow.target} {_UNHEALED} within {_HEALED_S:g} s" for blow in blows if blow.note == _UNHEALED]
