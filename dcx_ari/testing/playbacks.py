"""Playbacks on channels and bridges."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcx_ari.testing.parties import SCHEMES
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.bridges import Bridge
    from dcx_ari.testing.channels import Channel
    from dcx_ari.testing.core import Core

OPERATIONS = frozenset({"restart", "pause", "unpause", "reverse", "forward"})


@dataclass(slots=True, eq=False)
class Playback:
    core: Core
    id: str
    media: list[str]
    target: Channel | Bridge
    language: str = "en"
    state: str = "queued"
    at: int = 0
    stopped: bool = False
    timer: asyncio.TimerHandle | None = None
    left_s: float = 0.0

    @property
    def uri(self) -> str:
        return self.media[self.at]

    def to_json(self) -> dict[str, Any]:
        following = self.media[self.at + 1 : self.at + 2]
        return {
            "id": self.id,
            "media_uri": self.uri,
            **({"next_media_uri": following[0]} if following else {}),
            "target_uri": self.target.uri,
            "language": self.language,
            "state": self.state,
        }

    def begin(self) -> bool:
        """Its turn has come. True: it occupies the target until it ends."""
        if self.stopped:
            return self._finish("done")
        if self.target.gone:
            # Asterisk starts and fails it, or forgets it without an event: here always the harder of the two.
            self.core.playbacks.pop(self.id, None)
            return False
        self.target.playing = self
        return self._next()

    def _next(self) -> bool:
        while True:
            self.state = "playing"
            self._emit("PlaybackStarted")
            scheme = self.uri.partition(":")[0]
            if scheme not in SCHEMES:
                # Asterisk 22.10.1: started, never finished, and the channel goes on to its next command.
                self.target.playing = None
                self.core.playbacks.pop(self.id, None)
                return False
            seconds = self.core.media.seconds(self.uri)
            if seconds is not None:
                self._run_for(seconds)
                self.target.heard_changed()
                return True
            if not self._continues():  # only the last of them can make the playback a failed one
                return self._finish("failed")

    def _continues(self) -> bool:
        """Go on to the medium after this one, if there is one."""
        if self.at + 1 == len(self.media):
            return False
        self.state = "continuing"
        self._emit("PlaybackContinuing")
        self.at += 1
        return True

    def _run_for(self, seconds: float) -> None:
        self.left_s = seconds
        if seconds != float("inf"):
            self.timer = self.core.later(seconds, self._played)

    def _played(self) -> None:
        if not self._continues():
            self.end("done")
        elif not self._next():
            self.target.control.release()

    def end(self, state: str) -> None:
        """End a playback that is under way."""
        self._finish(state)
        self.target.control.release()

    def _finish(self, state: str) -> bool:
        if self.timer is not None:
            self.timer.cancel()
        self.state = state
        self.core.playbacks.pop(self.id, None)
        if self.target.playing is self:
            self.target.playing = None
        self._emit("PlaybackFinished")
        self.target.heard_changed()
        return False

    def _emit(self, kind: str) -> None:
        self.core.emit(kind, {"playback": self.to_json()}, about=[self.target])

    def stop(self) -> None:
        if self.state == "queued":
            self.stopped = True
            self.state = "done"
        elif self.state in ("playing", "paused"):
            self.end("done")

    def operate(self, operation: str) -> None:
        if operation == "pause" and self.state == "playing" and self.timer is not None:
            self.left_s = self.timer.when() - self.core.now
            self.timer.cancel()
            self.state = "paused"
        elif operation == "unpause" and self.state == "paused":
            self.state = "playing"
            self._run_for(self.left_s)
            self._emit("PlaybackStarted")
        elif operation == "restart" and self.timer is not None:
            self.timer.cancel()
            self.state = "playing"
            self._run_for(self.core.media.seconds(self.uri) or 0.0)


def play(core: Core, target: Channel | Bridge, ask: Ask, playback_id: str) -> dict[str, Any]:
    media = ask.many("media")
    if not media:
        raise Refused(500, "Failed to queue media for playback")
    playback = Playback(core, playback_id or core.new_id(), media, target, ask.text("lang", "en"))
    core.playbacks[playback.id] = playback
    queued = playback.to_json()
    target.control.post(playback.begin)
    return queued


def get(core: Core, ask: Ask) -> dict[str, Any]:
    return core.playback(ask.id).to_json()


def stop(core: Core, ask: Ask) -> None:
    core.playback(ask.id).stop()


def control(core: Core, ask: Ask) -> None:
    playback = core.playback(ask.id)
    operation = ask.text("operation")
    if operation not in OPERATIONS:
        raise Refused(400, f"Invalid operation {operation}")
    if playback.state == "queued":
        raise Refused(409, "Playback not in an acceptable state for the operation")
    playback.operate(operation)
