"""The live view over all workers: our own calls, and what the others tell of theirs over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress

import msgspec

from dcx_ari.bus import Bus, Message
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.live import LiveCalls
from dcx_ari.live_mirrors import Call, Delta, Mirrors
from dcx_ari.live_news import LOOK_S, LOOKS, NEWS, News, Teller
from dcx_ari.services.live import TOPIC, Coverage
from dcx_ari.store.errors import StoreError

_TICK_S = 0.25
_AGAIN_S = 0.1
_LINGER_S = 2.0
_SETTLE_S = 1.0


class AllCalls:
    """Implements `services.live.LiveFeed`. `others` names the other workers that live, as the database has them.

    `wire` reaches them; `shared` False: it does not, there is no Redis.
    """

    def __init__(
        self,
        own: LiveCalls,
        wire: Bus,
        worker: str,
        others: Callable[[], Awaitable[Collection[str]]],
        *,
        shared: bool,
    ) -> None:
        self.own = own
        self.bus: MemoryBus = own.bus
        self._wire = wire
        self._worker = worker
        self._others = others
        self._shared = shared
        self._teller = Teller(own, wire, worker)
        self._mirrors = Mirrors()
        self._expected: set[str] | None = None
        self._covered = self.coverage()
        self._until = 0.0
        self._looked_at = 0.0
        self._stir = asyncio.Event()
        self._settled = asyncio.Event()

    # -- what a view asks for -------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return self.own.now_ms()

    def calls(self) -> list[Call]:
        mine = {call["id"]: call for call in self.own.calls()}
        return list({**self._mirrors.calls(), **mine}.values())

    def coverage(self) -> Coverage:
        shown = {self._worker, *self._mirrors.workers}
        missing = sorted((self._expected or set()) - shown)
        return Coverage(sorted(shown), missing, self._degraded(missing))

    def _degraded(self, missing: list[str]) -> str | None:
        if self._wire.away is not None:
            return f"redis: {self._wire.away}: only the calls of {self._worker} are shown"
        if not missing:
            return None
        if not self._shared:
            return f"redis: DCX_REDIS_URL is not set: only the calls of {self._worker} are shown"
        return f"{', '.join(missing)}: not heard, so the calls there are not shown"

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Message]]:
        """Changes of all calls as messages on `TOPIC`; an empty one says that the coverage has changed."""
        async with self.bus.subscribe([TOPIC]) as messages:
            self._stir.set()
            yield messages

    async def fresh(self) -> None:
        """Returns when the others have told their calls, or did not within about a second; they go on for a while."""
        self._until = asyncio.get_running_loop().time() + _LINGER_S
        self._stir.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _SETTLE_S):
                await self._settled.wait()

    # -- following the others -------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.own.run(), name="our live calls")
            group.create_task(self._teller.run(), name="telling of them")
            group.create_task(self._watch(), name="live calls of others")

    async def _watch(self) -> None:
        while True:
            await self._stir.wait()
            self._stir.clear()
            if not self._watched():
                continue
            counting = asyncio.create_task(self._count(), name="other workers")
            try:
                async with self._wire.subscribe([NEWS]) as news:
                    await self._follow(news)
            finally:
                counting.cancel()
                await asyncio.gather(counting, return_exceptions=True)
                self._mirrors.clear()
                self._settled.clear()
                self._expected = None

    def _watched(self) -> bool:
        return self.bus.wanted(TOPIC) or asyncio.get_running_loop().time() < self._until

    async def _count(self) -> None:
        """Who there is to be heard. While the database is away, whoever was there last."""
        while True:
            try:
                self._expected = set(await self._others())
            except StoreError:
                self._expected = self._expected or set()
            await asyncio.sleep(LOOK_S)

    async def _follow(self, news: AsyncIterator[Message]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._watched():
            self._look(loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    self._hear(await anext(news), loop.time())
            self._tell(self._mirrors.expire(loop.time()))
            if not self._settled.is_set() and (self._all_told() or loop.time() - began >= _SETTLE_S):
                self._settled.set()
            self._tell_coverage()

    def _look(self, now: float) -> None:
        lost = self._mirrors.lost
        if self._wire.away is None and now - self._looked_at >= (_AGAIN_S if lost else LOOK_S):
            self._looked_at = now
            self._wire.publish(LOOKS, {"life": self._teller.life, "known": self._mirrors.known, "whole": lost})

    def _hear(self, message: Message, now: float) -> None:
        with suppress(msgspec.ValidationError):  # of another release, perhaps: it counts as not heard
            news = msgspec.convert(message.payload, News)
            if news.life != self._teller.life:
                self._tell(self._mirrors.take(news, now))

    def _all_told(self) -> bool:
        if self._expected is None:
            return False
        return not self._shared or self._wire.away is not None or self._expected <= self._mirrors.workers

    def _tell(self, delta: Delta) -> None:
        """What we have ourselves we know better; what another has by now is not removed."""
        if not delta.changed and not delta.removed:
            return
        known = self._mirrors.calls()
        changed = [call for call in delta.changed if not self.own.has(call["id"])]
        removed = [each for each in delta.removed if each not in known and not self.own.has(each)]
        if changed or removed:
            self.bus.publish(TOPIC, {"changed": changed, "removed": removed})

    def _tell_coverage(self) -> None:
        now = self.coverage()
        if now != self._covered and self._settled.is_set():
            self._covered = now
            self.bus.publish(TOPIC, {"changed": [], "removed": []})
