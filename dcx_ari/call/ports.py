"""What call control needs from the shell. Flows see these seams and never what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dcx_ari.call.leg import Leg


@dataclass(frozen=True, slots=True)
class Inbound:
    """A call as it arrives, parsed at the door. Texts are as the far end sent them, cut to 255 characters.

    `headers` holds the SIP headers that the dialplan passes on, by lower-case name.
    """

    channel_id: str
    dialled: str
    caller: str
    caller_name: str
    headers: Mapping[str, str]
    test: bool = False


class Journal(Protocol):
    """The call's own record. Nothing here decides; everything is idempotent by id."""

    def opened(self, call_id: str, inbound: Inbound, at_ms: int) -> None:
        """A new call row. Written with the next group commit."""
        ...

    def update(self, call_id: str, **fields: Any) -> None:
        """Set columns of the call row. Written with the next group commit."""
        ...

    def event(self, call_id: str, at_ms: int, kind: str, data: Mapping[str, Any]) -> None: ...

    def leg(self, call_id: str, leg: Leg) -> None:
        """Insert or update the row of a leg with all that is known of it."""
        ...

    def recording(self, call_id: str, recording_id: str, **fields: Any) -> None: ...

    async def durable(self) -> None:
        """Return when everything posted so far is committed: called before an act that cannot be undone."""
        ...


class Speech(Protocol):
    async def say(self, text: str, voice: str) -> str:
        """An ARI media URI that speaks `text`; made once, then cached by text and voice.

        Raises `SpeechUnavailable`.
        """
        ...


class SpeechUnavailable(Exception):  # noqa: N818
    """No speech engine, or it failed; the message says which and how to mend it."""


class Recorder(Protocol):
    """Stereo recording of a bridged pair, from the caller's channel: caller left, buyer right."""

    async def start(self, call_id: str, recording_id: str, channel_id: str, at_ms: int) -> None: ...

    async def pause(self, recording_id: str, paused: bool, at_ms: int) -> None: ...

    async def stop(self, recording_id: str, at_ms: int) -> None:
        """Stop; the file is made ready in the background. No error if it never started or has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    journal: Journal
    speech: Speech
    recorder: Recorder
    now_ms: Callable[[], int]
