"""The configuration of a running engine: always a whole snapshot, replaced when a row has changed.

Changes are made by other processes too (the command line, a second worker). They count up one number in the
same transaction; looking at it costs microseconds, so a call looks before it begins and the next call after a
change sees it. Loading happens off the calls' path: a watcher notices within a fraction of a second.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence

from dcx_ari.ari.trunks import TrunkAccount
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.document import BadFlow, Document, from_data
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.news import of_calls
from dcx_ari.store.receivers import Receiver, receivers
from dcx_ari.store.snapshot import Loaded, config_version, load

log = logging.getLogger(__name__)

_WATCH_S = 0.25
_PATIENCE_S = 0.5  # what a call waits at most for a database elsewhere to say whether anything has changed

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
        self._glance: sqlite3.Connection | None = None
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

    def document(self, flow_id: int) -> tuple[Document, int] | None:
        """A published flow and its version; None where there is none that can be run."""
        return self._documents.get(flow_id)

    def on_change(self, changed: Changed) -> None:
        self._changed = changed

    async def load(self) -> None:
        async with self._loading:
            previous = None if self._loaded is None else self._loaded.snapshot
            loaded = await load(self._database, self._zone, previous)
            await self.load_receivers()
            self._loaded, self._documents = loaded, _documents(loaded)  # at once: a call that sees one has the other
        for problem in loaded.snapshot.problems:
            log.error("%s %s is left out: %s", problem.table, problem.id, problem.message)

    async def fresh(self) -> None:
        """Make sure that changes committed before now are in the snapshot."""
        if await self._version() not in (None, self.snapshot.version):
            await self.load()
            if self._changed is not None:  # a trunk that is new to us is new to Asterisk too
                await self._changed()

    async def watch(self) -> None:
        """Replace the snapshot when it is out of date, for ever. A database that is away is waited for."""
        seen = -1
        while True:
            try:
                version = self._version_at_a_glance()
                if version is None:
                    version = await config_version(self._database)
                if version != self.snapshot.version:
                    await self.load()
                if seen != self.snapshot.version:
                    seen = self.snapshot.version
                    if self._changed is not None:
                        await self._changed()
            except StoreError as error:
                log.warning("the configuration cannot be read: %s", error)
            await asyncio.sleep(_WATCH_S)

    async def _version(self) -> int | None:
        """The version for a call that begins. None: it cannot be read now, and what is loaded has to do."""
        version = self._version_at_a_glance()
        if version is None and not self._is_file:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    return await config_version(self._database)
            except (StoreError, TimeoutError) as error:
                log.warning("a call begins with the configuration as it was: %s", error or "no answer")
        return version

    @property
    def _is_file(self) -> bool:
        url = self._database.engine.url
        return url.drivername.startswith("sqlite") and bool(url.database)

    def _version_at_a_glance(self) -> int | None:
        """The version, read on the event loop: with SQLite in WAL mode it waits for nobody and takes
        microseconds, where a hop to a thread and back takes a fraction of a millisecond. None: ask properly.
        """
        if not self._is_file:
            return None
        try:
            if self._glance is None:
                path = self._database.engine.url.database
                self._glance = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.0)
            row = self._glance.execute("SELECT version FROM config_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return int(row[0])

    def close(self) -> None:
        if self._glance is not None:
            self._glance.close()
            self._glance = None


def _documents(loaded: Loaded) -> dict[int, tuple[Document, int]]:
    found = {}
    for row in loaded.flows:
        if row["status"] != "published":
            continue
        try:
            found[row["id"]] = (from_data(row["document"]), row["version"])
        except BadFlow as error:
            log.error("flow %s cannot be run: %s", row["name"], error)
    return found
