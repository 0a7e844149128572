"""The seam between the engine and Asterisk: requests one way, sessions of events the other.

`AriClient` (real) and `FakeAsterisk` (tests, simulation) both implement `Transport`; the typed resources
in `resources.py` are written against it, and one contract suite runs on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One ARI request.

    `path` has no leading slash and no `ari/` (`channels/abc/answer`), each segment already percent-encoded.
    `blocking` marks the requests that can wait behind a playback inside Asterisk (answer, addChannel,
    removeChannel, set variable, externalMedia): they must not share the event socket.
    `order` names the channel or bridge whose requests keep their order.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    blocking: bool = False
    order: str = ""


class Session(Protocol):
    """One life of the event connection; iteration ends when the connection does, for whatever reason."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    async def request(self, request: Request) -> bytes:
        """The body of the answer (JSON, empty for 204).

        Raises an `AriError`: `Unreachable` where no answer came within the transport's own bound.
        """
        ...

    def sessions(self) -> AsyncIterator[Session]:
        """Connect, yield a session, and again for ever, with back-off between failed attempts."""
        ...

    async def close(self) -> None: ...
