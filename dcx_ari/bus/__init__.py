"""News for whoever listens now: published, heard, forgotten. What must not be lost is a row in a table, not a message.

Topics are plain names. A publisher never waits; a listener that is too slow loses messages and is told so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

Payload = Mapping[str, Any]
"""JSON values."""


class Message(NamedTuple):
    """`gap`: messages of this subscription were lost before this one."""

    topic: str
    payload: Payload
    gap: bool = False


class Bus(Protocol):
    """One for each process."""

    def publish(self, topic: str, payload: Payload) -> None:
        """Tell everybody who listens to the topic, here and (where the bus reaches so far) in other processes."""
        ...

    def wanted(self, topic: str) -> bool:
        """Whether anybody may be listening: what nobody hears need not be worked out."""
        ...

    def subscribe(self, topics: Collection[str]) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Messages from the moment of entering on."""
        ...
