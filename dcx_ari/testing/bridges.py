"""Bridges: mixing and holding, who is in them, music and announcements."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dcx_ari.testing import playbacks, recordings
from dcx_ari.testing.control import Control
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.channels import Channel
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.playbacks import Playback
    from dcx_ari.testing.recordings import Recording

KINDS = frozenset({"mixing", "holding", "dtmf_events", "proxy_media", "video_sfu", "video_single", "sdp_label"})


@dataclass(slots=True, eq=False)
class Bridge:
    core: Core
    id: str
    kind: str
    name: str
    flags: frozenset[str]
    creationtime: str
    members: list[Channel] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    moh: str | None = None
    control: Control = field(default_factory=Control)
    playing: Playback | None = None
    recording: Recording | None = None
    gone: bool = False

    @property
    def uri(self) -> str:
        return f"bridge:{self.id}"

    @property
    def native(self) -> bool:
        """Two SIP parties whose audio passes by the core (native_rtp)."""
        if self.kind != "mixing" or len(self.members) != 2 or self.recording is not None:
            return False
        if self.flags & {"dtmf_events", "proxy_media"}:
            return False
        return all(m.name.startswith("PJSIP/") and not m.snoops and not m.audiohooks for m in self.members)

    @property
    def hides_digits(self) -> bool:
        """In a native bridge the far end gets the digit and the application gets no event."""
        return self.native

    @property
    def technology(self) -> str:
        if self.kind == "holding":
            return "holding_bridge"
        if self.native:
            return "native_rtp"
        return "softmix" if len(self.members) + (self.recording is not None) > 2 else "simple_bridge"

    def to_json(self) -> dict[str, Any]:
        shown = {name: self.variables.get(name, "") for name in sorted(self.reported)}
        return {
            "id": self.id,
            "technology": self.technology,
            "bridge_type": self.kind,
            "bridge_class": "stasis",
            "creator": "Stasis",
            "name": self.name,
            "channels": [member.id for member in self.members],
            "creationtime": self.creationtime,
            "video_mode": "talker",
            **({"bridgevars": shown} if shown else {}),
        }

    def heard_changed(self) -> None:
        self.core.ears.update(self.members)

    def enter(self, channel: Channel) -> None:
        if channel.bridge is not None:
            channel.bridge.leave(channel)
        self.members.append(channel)
        channel.bridge = self
        if channel.app is not None:
            self.core.application(channel.app).bridges[self.id] += 1
        self._emit("ChannelEnteredBridge", channel)
        channel.heard_changed()

    def leave(self, channel: Channel, *, hung_up: bool = False) -> None:
        """Asterisk keeps the application's subscription to a bridge that a channel left by hanging up."""
        self.members.remove(channel)
        self._emit("ChannelLeftBridge", channel)
        channel.bridge = None
        if channel.app is not None and not hung_up:
            application = self.core.application(channel.app)
            application.drop(application.bridges, self.id)
        self.core.ears.update([channel, *self.members])
        if not self.members and self.recording is not None:
            self.recording.finish()

    def _emit(self, kind: str, channel: Channel) -> None:
        event = {"bridge": self.to_json(), "channel": channel.to_json()}
        self.core.emit(kind, event, about=[self, channel])

    def destroy(self) -> None:
        for member in list(self.members):
            self.leave(member)
        if self.playing is not None:
            self.playing.end("failed")
        if self.recording is not None:
            self.recording.finish()
        self.gone = True
        self.core.bridges.pop(self.id, None)
        self.core.emit("BridgeDestroyed", {"bridge": self.to_json()}, about=[self])
        for application in self.core.applications.values():
            application.bridges.pop(self.id, None)


def create(core: Core, ask: Ask) -> dict[str, Any]:
    bridge_id = ask.id if ask.ids else ask.text("bridgeId") or core.new_id()
    if bridge_id in core.bridges:
        raise Refused(409, f"Bridge with id '{bridge_id}' already exists")
    kinds = ask.many("type") or ["mixing"]
    base = {"mixing", "holding"} & set(kinds)
    if set(kinds) - KINDS or len(base) != 1:
        raise Refused(500, "Unable to create bridge")
    bridge = Bridge(core, bridge_id, base.pop(), ask.text("name"), frozenset(kinds), core.timestamp())
    _assign_all(bridge, ask)
    core.bridges[bridge_id] = bridge
    return bridge.to_json()


def _assign_all(bridge: Bridge, ask: Ask) -> None:
    for name, value in (ask.args.get("variables") or {}).items():
        if isinstance(value, dict):
            bridge.variables[name] = str(value.get("value", ""))
            if value.get("report_events"):
                bridge.reported.add(name)
        else:
            bridge.variables[name] = str(value)


def get(core: Core, ask: Ask) -> dict[str, Any]:
    return core.bridge(ask.id).to_json()


def list_all(core: Core, _: Ask) -> list[dict[str, Any]]:
    return [bridge.to_json() for bridge in core.bridges.values()]


def destroy(core: Core, ask: Ask) -> None:
    core.bridge(ask.id).destroy()


def _members(core: Core, ask: Ask) -> list[Channel]:
    names = ask.many("channel")
    if not names:
        raise Refused(400, "Missing parameter channel")
    if any(name not in core.channels for name in names):
        raise Refused(400, "Channel not found")
    channels = [core.channels[name] for name in names]
    if any(channel.app is None for channel in channels):
        raise Refused(422, "Channel not in Stasis application")
    return channels


def add_channel(core: Core, ask: Ask) -> list[Any]:
    bridge = core.bridge(ask.id)
    channels = _members(core, ask)
    if any(channel.recording is not None for channel in channels):
        raise Refused(409, "Channel currently recording")

    def join(channel: Channel) -> None:
        if bridge.gone or (channel.gone and channel.app is None):
            return
        channel.absorbs_dtmf = ask.flag("absorbDTMF")
        if ask.flag("mute"):
            channel.muted_in = True
        bridge.enter(channel)
        if channel.gone:
            bridge.leave(channel, hung_up=True)

    return [channel.control.join(partial(join, channel)) for channel in channels]


def remove_channel(core: Core, ask: Ask) -> list[Any]:
    bridge = core.bridge(ask.id)
    channels = _members(core, ask)
    if any(channel.bridge is not bridge for channel in channels):
        raise Refused(422, "Channel not in this bridge")

    def part(channel: Channel) -> None:
        if channel.bridge is bridge:
            bridge.leave(channel)

    return [channel.control.join(partial(part, channel)) for channel in channels]


def start_moh(core: Core, ask: Ask) -> None:
    bridge = core.bridge(ask.id)
    bridge.moh = ask.text("mohClass") or "default"
    bridge.heard_changed()


def stop_moh(core: Core, ask: Ask) -> None:
    bridge = core.bridge(ask.id)
    if bridge.moh is None:
        raise Refused(409, "Bridge isn't playing music")
    bridge.moh = None
    bridge.heard_changed()


def play(core: Core, ask: Ask) -> dict[str, Any]:
    return playbacks.play(core, core.bridge(ask.id), ask, ask.ids[1] if len(ask.ids) > 1 else ask.text("playbackId"))


def record(core: Core, ask: Ask) -> dict[str, Any]:
    return recordings.start(core, core.bridge(ask.id), ask)


def set_variable(core: Core, ask: Ask) -> None:
    bridge = core.bridge(ask.id)
    name = ask.need("variable", "Variable name is required")
    bridge.variables[name] = ask.text("value")
    if ask.flag("report_events"):
        bridge.reported.add(name)


def get_variable(core: Core, ask: Ask) -> dict[str, Any]:
    bridge = core.bridge(ask.id)
    name = ask.need("variable", "Variable name is required")
    if name not in bridge.variables:
        raise Refused(404, "Provided variable was not found")
    return {"value": bridge.variables[name]}


def get_variables(core: Core, ask: Ask) -> dict[str, Any]:
    bridge = core.bridge(ask.id)
    names = ask.many("variables")
    if not names:
        raise Refused(400, "At least one variable name is required")
    if set(names) - set(bridge.variables):
        raise Refused(404, "Provided variable was not found")
    return {"variables": {name: bridge.variables[name] for name in names}}


def set_variables(core: Core, ask: Ask) -> None:
    bridge = core.bridge(ask.id)
    if not isinstance(ask.args.get("variables"), dict):
        raise Refused(400, "The 'variables' field must be a JSON object")
    _assign_all(bridge, ask)
