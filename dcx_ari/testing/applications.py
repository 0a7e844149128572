"""Stasis applications: who is subscribed to what, and the connection that events go to.

An application without a connection loses its events; it is forgotten once it holds no subscription either.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


class FakeSession:
    """One life of an event connection."""

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._held: list[bytes] = []
        self.open = True
        self.stalled = False
        self.replaced = False

    def deliver(self, raw: bytes) -> None:
        if not self.open:
            return
        if self.stalled:
            self._held.append(raw)
        else:
            self._inbox.put_nowait(raw)

    def stall(self) -> None:
        """Nothing arrives any more, though the connection looks alive."""
        self.stalled = True

    def resume(self) -> None:
        self.stalled = False
        for raw in self._held:
            self._inbox.put_nowait(raw)
        self._held.clear()

    def end(self) -> None:
        if self.open:
            self.open = False
            self._inbox.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (raw := await self._inbox.get()) is not None:
            yield raw


@dataclass(slots=True, eq=False)
class Application:
    name: str
    session: FakeSession | None = None
    channels: Counter[str] = field(default_factory=Counter)
    bridges: Counter[str] = field(default_factory=Counter)
    endpoints: set[str] = field(default_factory=set)
    allowed: list[dict[str, Any]] = field(default_factory=list)
    disallowed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return self.session is not None and self.session.open

    @property
    def subscribed(self) -> bool:
        return bool(self.channels or self.bridges or self.endpoints)

    def follows(self, uri: str) -> bool:
        """Whether it is subscribed to `channel:…` or `bridge:…`."""
        kind, _, key = uri.partition(":")
        return key in (self.channels if kind == "channel" else self.bridges)

    def wants(self, kind: str) -> bool:
        if any(entry.get("type") == kind for entry in self.disallowed):
            return False
        return not self.allowed or any(entry.get("type") == kind for entry in self.allowed)

    def deliver(self, event: dict[str, Any]) -> bool:
        """True if a connection took it (or the filter dropped it), False if it is lost."""
        if not self.wants(event["type"]):
            return True
        if self.session is None or not self.session.open:
            return False
        self.session.deliver(json.dumps(event).encode())
        return True

    def forget(self) -> None:
        """Asterisk restarted: no subscriptions, no filter."""
        self.channels.clear()
        self.bridges.clear()
        self.endpoints.clear()
        self.allowed, self.disallowed = [], []

    def drop(self, kept: Counter[str], key: str) -> None:
        kept[key] -= 1
        if kept[key] <= 0:
            del kept[key]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "channel_ids": sorted(self.channels),
            "bridge_ids": sorted(self.bridges),
            "endpoint_ids": sorted(self.endpoints),
            "device_names": [],
            "events_allowed": self.allowed,
            "events_disallowed": self.disallowed,
        }
