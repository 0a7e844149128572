"""A channel: its life in the fake, from creation to the last event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dcx_ari.testing.causes import cause_text
from dcx_ari.testing.control import Control

if TYPE_CHECKING:
    from dcx_ari.testing.bridges import Bridge
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.parties import Party
    from dcx_ari.testing.playbacks import Playback
    from dcx_ari.testing.recordings import Recording

BY_US = 32  # the cause that Asterisk reports in ChannelHangupRequest for a hangup asked through ARI
_PLAYBACK_FIRST_S = 0.02  # between the end of what was playing and the channel's own: Asterisk takes less, mostly


@dataclass(slots=True, eq=False)
class Channel:
    core: Core
    id: str
    name: str
    state: str = "Down"
    party: Party | None = None
    caller: tuple[str, str] = ("", "")  # name, number
    connected: tuple[str, str] = ("", "")
    context: str = "default"
    exten: str = "s"
    protocol_id: str = ""
    creationtime: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    redirected_to: str = ""
    reported: set[str] = field(default_factory=set)
    control: Control = field(default_factory=Control)
    app: str | None = None
    app_data: str = ""
    dialstring: str = ""
    in_dialplan: bool = False
    originated: bool = False
    bridge: Bridge | None = None
    playing: Playback | None = None
    recording: Recording | None = None
    moh: str | None = None
    ringing: bool = False
    held: bool = False
    muted_in: bool = False
    muted_out: bool = False
    absorbs_dtmf: bool = False
    audiohooks: int = 0
    at_end: list[Callable[[], None]] = field(default_factory=list)
    snoops: list[Channel] = field(default_factory=list)
    spied: Channel | None = None
    spies: str = "none"
    whispers: str = "none"
    progressed: bool = False
    on_answer: Callable[[], object] | None = None
    dial_timer: asyncio.TimerHandle | None = None
    ending: asyncio.TimerHandle | None = None
    timed_out: bool = False
    cause: int = 0
    tech_cause: int | None = None
    gone: bool = False

    @property
    def uri(self) -> str:
        return f"channel:{self.id}"

    @property
    def early_silent(self) -> bool:
        """Not answered and no early media either: nothing comes from the far end."""
        return self.state != "Up" and not self.progressed

    def to_json(self) -> dict[str, Any]:
        app_name, app_data = ("AppDial2", "(Outgoing Line)") if self.originated else ("", "")
        if self.app is not None:
            app_name, app_data = "Stasis", self.app_data
        shown = {name: self.variables.get(name, "") for name in sorted(self.reported)}
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": self.protocol_id,
            "caller": {"name": self.caller[0], "number": self.caller[1]},
            "connected": {"name": self.connected[0], "number": self.connected[1]},
            "accountcode": "",
            "dialplan": {
                "context": self.context,
                "exten": self.exten,
                "priority": 1,
                "app_name": app_name,
                "app_data": app_data,
            },
            "creationtime": self.creationtime,
            "language": "en",
            **({"channelvars": shown} if shown else {}),
        }

    def emit(self, kind: str, **fields: Any) -> None:
        self.core.emit(kind, {**fields, "channel": self.to_json()}, about=[self])

    def heard_changed(self) -> None:
        self.core.ears.update([self])

    # Stasis

    def enter(self, app: str, args: Sequence[str]) -> bool:
        """Hand the channel to an application; False (STASISSTATUS=FAILED) where nobody is connected as it."""
        application = self.core.applications.get(app)
        if self.gone or self.ending is not None or application is None or not application.active:
            return False
        self.app = app
        self.app_data = self.app_data or ",".join((app, *args))  # a move does not change what is shown
        application.channels[self.id] += 1
        event = {"args": list(args), "channel": self.to_json()}
        self.core.emit("StasisStart", event, to=[app])
        return True

    def leave(self) -> None:
        """The application loses the channel; a subscription of its own (a created leg has one) stays."""
        if self.app is None:
            return
        application = self.core.application(self.app)
        self.core.emit("StasisEnd", {"channel": self.to_json()}, to=[self.app])
        application.drop(application.channels, self.id)
        self.app = None

    # the state of the line

    def set_state(self, state: str) -> None:
        if self.state == state or self.gone:
            return
        self.state = state
        if state == "Up":
            self.ringing = False
            if self.party is not None:
                self.party.answered_at = self.core.now
        self.emit("ChannelStateChange")
        self.heard_changed()

    def dial_event(self, status: str, dialstring: str = "") -> None:
        event = {"dialstatus": status, "forward": "", "dialstring": dialstring, "peer": self.to_json()}
        self.core.emit("Dial", event, about=[self])

    def digit(self, digit: str) -> None:
        """A digit from the far end: told to the application, and passed to who is bridged with it."""
        if self.gone:
            return
        if self.bridge is None or not self.bridge.hides_digits:
            self.emit("ChannelDtmfReceived", digit=digit, duration_ms=100)
        if self.bridge is not None and not self.absorbs_dtmf:
            for other in self.bridge.members:
                if other is not self and other.party is not None:
                    other.party.digits.append(digit)

    # the end

    def hang_up(self, cause: int, *, tech_cause: int | None = None, soft: bool, asked: bool = True) -> None:
        """Begin to hang up; `soft`: by us. Asked twice, the last cause holds. `asked`: with a request event."""
        if self.gone:
            return
        self.cause, self.tech_cause = cause, tech_cause
        fields: dict[str, Any] = {"cause": BY_US, "soft": True} if soft else {"cause": cause}
        if tech_cause is not None and not soft:
            fields["tech_cause"] = tech_cause
        if asked:
            self.emit("ChannelHangupRequest", **fields)
        if self.ending is None:
            self.ending = self.core.later(0, self._end)

    def _end(self) -> None:
        self.gone = True
        if self.dial_timer is not None:
            self.dial_timer.cancel()
        if self.playing is not None:
            self.playing.end("failed")
            self.ending = self.core.later(_PLAYBACK_FIRST_S, self._ended)
        else:
            self._ended()

    def _ended(self) -> None:
        if self.recording is not None:
            self.recording.finish()
        if self.bridge is not None:
            self.bridge.leave(self, hung_up=True)
        self.leave()
        self._after_stasis()
        fields: dict[str, Any] = {"cause": self.cause, "cause_txt": cause_text(self.cause)}
        if self.tech_cause is not None:
            fields["tech_cause"] = self.tech_cause
        self.emit("ChannelDestroyed", **fields)
        self.forget()
        for snoop in list(self.snoops):
            snoop.hang_up_silently()

    def _after_stasis(self) -> None:
        """The second request: the dialplan's Hangup(), or SIP's answer for an INVITE that was never sent."""
        if self.in_dialplan:
            self.emit("ChannelHangupRequest", cause=self.cause)
        elif self.state == "Down" and self.dial_timer is None and self.name.startswith("PJSIP/"):
            self.tech_cause = 603
            self.emit("ChannelHangupRequest", cause=self.cause, tech_cause=603)
        elif self.originated and self.tech_cause is not None and not self.timed_out:
            self.dial_event({17: "BUSY", 34: "CONGESTION"}.get(self.cause, "NOANSWER"))

    def hang_up_silently(self) -> None:
        """A snoop ends with what it listens to: no hangup request, no ChannelDestroyed."""
        if self.ending is not None:
            self.ending.cancel()
        self._end()

    def forget(self) -> None:
        """The channel is no more: nothing refers to it, and its party knows."""
        self.gone = True
        for act in self.at_end:
            act()
        self.core.channels.pop(self.id, None)
        for application in self.core.applications.values():
            application.channels.pop(self.id, None)
        if self.spied is not None:
            self.spied.snoops.remove(self)
            self.spied.heard_changed()
        self.heard_changed()
        if self.party is not None:
            self.party.ended(self.cause, self.tech_cause)

    def vanish(self) -> None:
        """Asterisk died: the far end hears nothing more, and nobody is told."""
        for timer in (self.dial_timer, self.ending, None if self.playing is None else self.playing.timer):
            if timer is not None:
                timer.cancel()
        self.gone = True
        for act in self.at_end:
            act()
        self.app = self.bridge = self.playing = None
        self.heard_changed()
        if self.party is not None:
            self.party.ended(0, None)
