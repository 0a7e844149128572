"""Live and stored recordings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.bridges import Bridge
    from dcx_ari.testing.channels import Channel
    from dcx_ari.testing.core import Core

FORMATS = frozenset({"wav", "wav16", "WAV", "sln", "ulaw", "alaw", "gsm", "g722", "raw", "sln16", "wav49"})


@dataclass(slots=True, eq=False)
class Recording:
    """`paused_s` and `muted_s` say for how long it was silent."""

    core: Core
    name: str
    format: str
    target: Channel | Bridge
    state: str = "queued"
    started: float = 0.0
    timer: asyncio.TimerHandle | None = None
    discarded: bool = False
    muted: bool = False
    notes: list[tuple[float, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "format": self.format,
            "state": self.state,
            "target_uri": self.target.uri,
        }

    def begin(self, max_s: float) -> bool:
        if self.target.gone:
            self.fail("Channel gone")
            return False
        self.state = "recording"
        self.started = self.core.now
        self.target.recording = self
        if max_s:
            self.timer = self.core.later(max_s, self.finish)
        self._emit("RecordingStarted")
        return self.target.uri.startswith("channel:")

    def fail(self, cause: str) -> None:
        self.state = "failed"
        self.core.recordings.pop(self.name, None)
        event = {"recording": {**self.to_json(), "cause": cause}}
        self.core.emit("RecordingFailed", event, about=[self.target])

    def finish(self) -> None:
        if self.state not in ("recording", "paused"):
            return
        if self.timer is not None:
            self.timer.cancel()
        self.state = "canceled" if self.discarded else "done"
        self.target.recording = None
        self.core.recordings.pop(self.name, None)
        if not self.discarded:
            self.core.stored[self.name] = {"name": self.name, "format": self.format}
        duration = int(self.core.now - self.started)
        event = {"recording": {**self.to_json(), "duration": duration}}
        self.core.emit("RecordingFinished", event, about=[self.target])
        if self.target.uri.startswith("channel:"):
            self.target.control.release()

    def note(self, what: str) -> None:
        self.notes.append((self.core.now, what))

    def _emit(self, kind: str) -> None:
        self.core.emit(kind, {"recording": self.to_json()}, about=[self.target])


def start(core: Core, target: Channel | Bridge, ask: Ask) -> dict[str, Any]:
    name = ask.need("name", "Recording name is required")
    kind = ask.need("format", "Recording format is required")
    if ".." in name.split("/"):
        raise Refused(500, "Error parsing request")
    if kind not in FORMATS:
        raise Refused(422, "specified format is unknown on this system")
    taken = name in core.recordings or name in core.stored
    if taken and ask.text("ifExists", "fail") == "fail":
        raise Refused(409, f"Recording '{name}' already exists and can not be overwritten")
    recording = Recording(core, name, kind, target)
    queued = recording.to_json()
    if getattr(target, "bridge", None) is not None:
        recording.fail("Cannot record channel while in bridge")
        return recording.to_json()
    core.recordings[name] = recording
    target.control.post(lambda: recording.begin(ask.number("maxDurationSeconds")))
    return queued


def _live(core: Core, ask: Ask) -> Recording:
    if (recording := core.recordings.get(ask.id)) is None:
        raise Refused(404, "Recording not found")
    return recording


def get(core: Core, ask: Ask) -> dict[str, Any]:
    return _live(core, ask).to_json()


def stop(core: Core, ask: Ask) -> None:
    _live(core, ask).finish()


def discard(core: Core, ask: Ask) -> None:
    recording = _live(core, ask)
    recording.discarded = True
    recording.finish()


def pause(core: Core, ask: Ask) -> None:
    recording = _live(core, ask)
    recording.state = "paused"
    recording.note("paused")


def unpause(core: Core, ask: Ask) -> None:
    recording = _live(core, ask)
    recording.state = "recording"
    recording.note("unpaused")


def mute(core: Core, ask: Ask) -> None:
    recording = _live(core, ask)
    recording.muted = True
    recording.note("muted")


def unmute(core: Core, ask: Ask) -> None:
    recording = _live(core, ask)
    recording.muted = False
    recording.note("unmuted")


def stored(core: Core, ask: Ask) -> dict[str, Any]:
    if ask.id not in core.stored:
        raise Refused(404, "Recording not found")
    return core.stored[ask.id]


def list_stored(core: Core, _: Ask) -> list[dict[str, Any]]:
    return list(core.stored.values())


def delete_stored(core: Core, ask: Ask) -> None:
    stored(core, ask)
    del core.stored[ask.id]
