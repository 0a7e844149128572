"""The bus of one process: a bounded queue for each listener."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from dcx_ari.bus import Message, Payload

MOST_WAITING = 64
"""Messages kept for one listener; the oldest go first."""


class MemoryBus:
    """Implements `Bus` on one event loop."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = most_waiting
        self._listeners: dict[str, list[_Listener]] = {}

    def publish(self, topic: str, payload: Payload) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.put(topic, payload)

    def wanted(self, topic: str) -> bool:
        return topic in self._listeners

    @asynccontextmanager
    async def subscribe(self, topics: Collection[str]) -> AsyncIterator[AsyncIterator[Message]]:
        listener = _Listener(self._most)
        wanted = frozenset(topics)
        for topic in wanted:
            self._listeners.setdefault(topic, []).append(listener)
        try:
            yield listener
        finally:
            for topic in wanted:
                rest = self._listeners[topic]
                rest.remove(listener)
                if not rest:
                    del self._listeners[topic]


class _Listener:
    def __init__(self, most: int) -> None:
        self._waiting: deque[tuple[str, Payload]] = deque()
        self._most = most
        self._lost = False
        self._came = asyncio.Event()

    def put(self, topic: str, payload: Payload) -> None:
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._lost = True
        self._waiting.append((topic, payload))
        self._came.set()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        lost, self._lost = self._lost, False
        return Message(*self._waiting.popleft(), lost)
