"""The configuration of a running engine: always a whole snapshot, replaced when a row has changed.

Changes are made by other processes too (the command line, a second worker). They count up one number in the
same transaction; looking at it costs microseconds, so a call looks before it begins and the next call after a
change sees it. Loading happens off the calls' path: a watcher notices within a fraction of a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dcx_ari.ari.trunks import TrunkAccount
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.document import BadFlow, Document, from_data
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.glance import Glance
from dcx_ari.store.news import of_calls
from dcx_ari.store.receivers import Receiver, receivers
from dcx_ari.store.snapshot import Loaded, load, load_versions

log = logging.getLogger(__name__)

_WATCH_S = 0.25
_MOST_EARLIER = 50  # versions of flows that are no longer the newest

Changed = Callable[[], Awaitable[None]]


class Configuration:
    """Call `load` once before anything else. `changed` is awaited after every replacement."""

    def __init__(self, database: Database, company_zone: str, changed: Changed | None = None) -> None:
        self._database = database
        self._zone = company_zone
        self._changed = changed
        self._loading = asyncio.Lock()
        self._loaded: Loaded | None = None
        self._documents: Mapping[int, tuple[Document, int]] = {}
        self._earlier: dict[tuple[int, int], Document] = {}
        self._glance = Glance(database)
        self._receivers: tuple[Receiver, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        return self._now.snapshot

    @property
    def trunks(self) -> Sequence[TrunkAccount]:
        return self._now.trunks

    @property
    def _now(self) -> Loaded:
        if self._loaded is None:
            raise RuntimeError("the configuration was not loaded")
        return self._loaded

    def receivers(self) -> tuple[Receiver, ...]:
        """Who is told of calls."""
        return self._receivers

    async def load_receivers(self) -> None:
        """People change what they want to hear of without a new version. Raises StoreError."""
        async with self._database.read() as session:
            self._receivers = of_calls(await receivers(session))

    async def document(self, flow_id: int, version: int | None = None) -> tuple[Document, int] | None:
        """A published flow's newest version, or a certain one that a call began with, and its number.

        None where there is none that can be run; the newest one stands in for a version that is no more.
        """
        newest = self._documents.get(flow_id)
        if version is None or (newest is not None and newest[1] == version):
            return newest
        found = self._earlier.get((flow_id, version))
        if found is None:
            try:
                found = await self._read_earlier(flow_id, version)
            except StoreError as error:
                log.warning("version %d of flow %d cannot be read: %s", version, flow_id, error)
        return newest if found is None else (found, version)

    async def _read_earlier(self, flow_id: int, version: int) -> Document | None:
        """Versions never change: those that calls were taken over with are kept, the last few of them."""
        stored = await load_versions(self._database, [(flow_id, version)])
        found = _parsed(flow_id, version, stored.get((flow_id, version)))
        if found is not None:
            self._earlier[flow_id, version] = found
            if len(self._earlier) > _MOST_EARLIER:
                self._earlier.pop(next(iter(self._earlier)))
        return found

    def on_change(self, changed: Changed) -> None:
        self._changed = changed

    async def load(self) -> None:
        async with self._loading:
            previous = None if self._loaded is None else self._loaded.snapshot
            loaded = await load(self._database, self._zone, previous)
            await self.load_receivers()
            documents = await self._published(loaded)
            self._loaded, self._documents = loaded, documents  # at once: a call that sees one has the other
        for problem in loaded.snapshot.problems:
            log.error("%s %s is left out: %s", problem.table, problem.id, problem.message)

    async def _published(self, loaded: Loaded) -> dict[int, tuple[Document, int]]:
        """The newest versions. What has been read once is not read again."""
        kept = {i: known for i, known in self._documents.items() if loaded.published.get(i) == known[1]}
        missing = [(i, number) for i, number in loaded.published.items() if i not in kept]
        for (i, number), stored in (await load_versions(self._database, missing) if missing else {}).items():
            document = _parsed(i, number, stored)
            if document is not None:
                kept[i] = (document, number)
        return kept

    async def fresh(self) -> None:
        """Make sure that changes committed before now are in the snapshot."""
        try:
            version = await self._glance.version()
        except StoreError as error:
            log.warning("a call begins with the configuration as it was: %s", error)
            return
        if version != self.snapshot.version:
            await self.load()
            if self._changed is not None:  # a trunk that is new to us is new to Asterisk too
                await self._changed()

    async def watch(self) -> None:
        """Replace the snapshot when it is out of date, for ever. A database that is away is waited for."""
        seen = -1
        while True:
            try:
                version = await self._glance.version()
                if version != self.snapshot.version:
                    await self.load()
                if seen != self.snapshot.version:
                    seen = self.snapshot.version
                    if self._changed is not None:
                        await self._changed()
            except StoreError as error:
                log.warning("the configuration cannot be read: %s", error)
            await asyncio.sleep(_WATCH_S)

    def close(self) -> None:
        self._glance.close()


def _parsed(flow_id: int, version: int, stored: Any) -> Document | None:
    if stored is None:
        return None
    try:
        return from_data(stored)
    except BadFlow as error:
        log.error("version %d of flow %d cannot be run: %s", version, flow_id, error)
        return None
