"""The other workers on this Asterisk: when one dies and does not come back, we take over its calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from dcx_ari.ari.errors import AriError
from dcx_ari.call.exchange import Exchange
from dcx_ari.lifecycle import StoreLifecycle
from dcx_ari.slots import if_dead, other_slots
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.workers import all_workers, open_counts

log = logging.getLogger(__name__)

LOOK_S = 0.5
ALONE_S = 5.0  # without neighbours
_REMEMBERED_MS = 86_400_000  # a slot unused for a day has nothing that waits


class Neighbours:
    """Looks after the slots whose locks lie in `home`. A worker is dead when the lock of its slot is free."""

    def __init__(
        self,
        exchange: Exchange,
        lifecycle: StoreLifecycle,
        database: Database,
        home: Path,
        now_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._lifecycle = lifecycle
        self._database = database
        self._home = home
        self._now_ms = now_ms
        self._done: dict[str, tuple[int, int]] = {}  # what each slot's last process was when we had looked after it

    async def run(self) -> None:
        """For ever."""
        while True:
            alone = not other_slots(self._home, self._exchange.app)
            await asyncio.sleep(ALONE_S if alone else LOOK_S)
            if alone or not self._exchange.taking or not self._exchange.connected:
                continue
            try:
                await self.look()
            except (AriError, StoreError) as error:
                log.warning("the calls of dead workers wait: %s", error)

    async def look(self) -> None:
        """Take over what dead slots have left. Raises StoreError, AriError."""
        oldest = self._now_ms() - _REMEMBERED_MS
        waiting = await open_counts(self._database)
        for worker in await all_workers(self._database):
            known = (worker.pid, worker.started_at)
            done = self._done.get(worker.slot) == known and not waiting.get(worker.slot)
            if worker.slot == self._exchange.app or worker.seen_at < oldest or done:
                continue
            with if_dead(self._home, worker.slot) as dead:
                if dead:
                    await self._take_over(worker.slot, known)

    async def _take_over(self, slot: str, known: tuple[int, int]) -> None:
        worker = next((each for each in await all_workers(self._database) if each.slot == slot), None)
        if worker is not None and (worker.pid, worker.started_at) == known:  # nobody lived and died since we looked
            await self._lifecycle.inherit(self._exchange, worker)
            self._done[slot] = known
