"""Those in this process who listen: a bounded queue for each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager

from dcx_ari.bus import Message, Payload

MOST_WAITING = 64
"""Messages kept for one listener; the oldest go first."""


class Listener:
    """Messages in the order in which they came, for one reader."""

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

    def lost(self) -> None:
        """Something that should have come did not."""
        self._lost = True

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        lost, self._lost = self._lost, False
        return Message(*self._waiting.popleft(), lost)


class Listeners:
    """By topic."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = most_waiting
        self._of: dict[str, list[Listener]] = {}

    @property
    def topics(self) -> Collection[str]:
        return self._of.keys()

    def publish(self, topic: str, payload: Payload) -> None:
        for listener in self._of.get(topic, ()):
            listener.put(topic, payload)

    def lost(self) -> None:
        """Messages for any of them may have been lost."""
        for listeners in self._of.values():
            for listener in listeners:
                listener.lost()

    @contextmanager
    def listening(self, topics: Collection[str]) -> Iterator[Listener]:
        listener, wanted = Listener(self._most), frozenset(topics)
        for topic in wanted:
            self._of.setdefault(topic, []).append(listener)
        try:
            yield listener
        finally:
            for topic in wanted:
                rest = self._of[topic]
                rest.remove(listener)
                if not rest:
                    del self._of[topic]
