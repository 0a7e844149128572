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

    @property
    def away(self) -> str | None:
        """Why other processes cannot be reached at present; None: they can, or the bus is of this process alone."""
        ...

    def publish(self, topic: str, payload: Payload) -> None:
        """Tell everybody who listens to the topic, here and (where the bus reaches so far) in other processes."""
        ...

    def subscribe(self, topics: Collection[str]) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Messages from the moment of entering on; those of other processes as long as they can be reached."""
        ...
