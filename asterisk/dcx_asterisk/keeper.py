"""Keeps one Asterisk running: starts it again when it has died, or when it lives and does not answer.

    async with kept(Instance(home=Path("…"))) as keeper:
        keeper.asterisk.command("core show uptime")

Whoever owns an Asterisk owns its keeper, and nobody else kills it.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import aiohttp

from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.fetch import Progress
from dcx_asterisk.instance import Instance
from dcx_asterisk.process import Asterisk, start

log = logging.getLogger(__name__)

LOOK_S = 0.25
PROBE_EVERY_S = 5.0
PROBE_S = 7.0  # a machine that swaps or compiles may need seconds; three in a row are no longer that
PROBES = 3  # wedged is noticed after PROBE_EVERY_S + PROBES * PROBE_S at the latest, 26 s
LATE_S = 1.0
STEADY_S = 60.0  # one that lived this long is started again at once
BACKOFF_S = (1.0, 30.0)
NOBODY = "Local/s@dcx-probe/n"  # see config/extensions.conf: rings, and hangs up

Start = Callable[[], Awaitable[Asterisk]]


def backoff_s(failures: int) -> float:
    """Seconds before the next start, after so many short lives in a row.

    >>> [backoff_s(n) for n in (0, 1, 2, 3, 9)]
    [0.0, 0.0, 1.0, 2.0, 30.0]
    """
    first, most = BACKOFF_S
    return 0.0 if failures < 2 else min(most, first * 2.0 ** min(failures - 2, 20))


class Keeper:
    """`asterisk` is the one that runs now. `start_again` gives another one in the same home, on the same ports."""

    def __init__(self, asterisk: Asterisk, start_again: Start) -> None:
        self.asterisk = asterisk
        self._start_again = start_again
        self._failures = 0

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            why = await self._until_lost()
            self._failures = 0 if loop.time() - began >= STEADY_S else self._failures + 1
            log.error("Asterisk (process %d) %s: it is started again, its calls are lost", self.asterisk.pid, why)
            await self._restart()

    async def _restart(self) -> None:
        """Until one runs."""
        await self.asterisk.kill()
        while True:
            if pause := backoff_s(self._failures):
                log.warning("Asterisk did not last: the next start is in %g s", pause)
                await asyncio.sleep(pause)
            try:
                self.asterisk = await self._start_again()
            except (AsteriskError, OSError) as error:
                self._failures += 1
                log.error("Asterisk could not be started: %s", error)
            else:
                log.warning("Asterisk runs again, as process %d", self.asterisk.pid)
                return

    async def _until_lost(self) -> str:
        """What became of it, in words."""
        probing = asyncio.create_task(self._until_wedged(), name="probe of Asterisk")
        try:
            while self.asterisk.alive:
                done, _ = await asyncio.wait([probing], timeout=LOOK_S)
                if done:
                    return probing.result()
            return "has died"
        finally:
            probing.cancel()
            await asyncio.wait([probing])

    async def _until_wedged(self) -> str:
        """Every request of a probe must be answered in time, with whatever status: a refusal is work, too."""
        loop = asyncio.get_running_loop()
        missed = 0
        async with _session(self.asterisk) as session:
            for number in count(1):
                began = loop.time()
                silent = await _silent(session, self.asterisk, f"dcx-probe-{self.asterisk.pid}-{number}")
                took = loop.time() - began
                if silent is None:
                    missed = 0
                    await asyncio.sleep(PROBE_EVERY_S)
                elif took > PROBE_S + LATE_S:
                    log.warning(
                        "this process itself stood still for %.0f s: that probe of Asterisk does not count", took
                    )
                else:
                    missed += 1
                    log.warning("Asterisk (process %d) %s, %d of %d", self.asterisk.pid, silent, missed, PROBES)
                    await asyncio.sleep(max(0.0, PROBE_S - took))
                if missed == PROBES:
                    return f"lives, but has not answered for {PROBES * PROBE_S:g} s"
        raise AssertionError("counting ended")


def _session(asterisk: Asterisk) -> aiohttp.ClientSession:
    """One connection that stays open: no probe fails because Asterisk has no place for another one."""
    known = b64encode(f"{asterisk.ari_user}:{asterisk.ari_password}".encode()).decode()
    return aiohttp.ClientSession(headers={"Authorization": f"Basic {known}"}, connector=aiohttp.TCPConnector(limit=1))


async def _silent(session: aiohttp.ClientSession, asterisk: Asterisk, channel: str) -> str | None:
    """None where it answers; else what is wrong. A call to nobody goes through what locks up: channels, dialplan."""
    call = {"endpoint": NOBODY, "context": "dcx-probe", "extension": "s", "priority": "1", "channelId": channel}
    path = f"{asterisk.ari_url}/channels"
    try:
        async with asyncio.timeout(PROBE_S):
            async with session.post(path, params=call) as answer:
                await answer.read()
            async with session.delete(f"{path}/{channel}") as answer:
                await answer.read()
    except TimeoutError:
        return f"has not answered within {PROBE_S:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return f"cannot be asked ({error or type(error).__name__})"
    return None


@asynccontextmanager
async def kept(
    instance: Instance, report: Callable[[Progress], None] = lambda _: None, *, die_with_parent: bool = False
) -> AsyncIterator[Keeper]:
    """Start (or adopt) an Asterisk, keep it running for the length of the block, and stop it at the end."""

    async def begin() -> Asterisk:
        return await start(instance, report, die_with_parent=die_with_parent)

    keeper = Keeper(await begin(), begin)
    keeping = asyncio.create_task(keeper.run(), name="keeper of Asterisk")
    try:
        yield keeper
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await keeper.asterisk.stop()
