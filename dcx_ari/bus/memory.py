"""The bus of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from dcx_ari.bus import Message, Payload
from dcx_ari.bus.listeners import MOST_WAITING, Listeners


class MemoryBus:
    """Implements `Bus` on one event loop."""

    away: str | None = None

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._listeners = Listeners(most_waiting)

    def publish(self, topic: str, payload: Payload) -> None:
        self._listeners.publish(topic, payload)

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens: what nobody hears need not be worked out."""
        return topic in self._listeners.topics

    @asynccontextmanager
    async def subscribe(self, topics: Collection[str]) -> AsyncIterator[AsyncIterator[Message]]:
        with self._listeners.listening(topics) as listener:
            yield listener
