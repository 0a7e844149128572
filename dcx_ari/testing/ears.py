"""Who hears what, and when: worked out anew from the state of channels and bridges after every change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcx_ari.testing.bridges import Bridge
    from dcx_ari.testing.channels import Channel
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.parties import Party

RINGING = "ringing"


@dataclass(slots=True)
class Heard:
    """Something that a party heard: a media URI (`sound:hello`), `moh:<class>`, `ringing`, or a party's name.

    `start` and `end` are seconds on the loop's clock; `end` is None while it lasts.
    `early` marks what was sent before the call was answered: a carrier may not pass it on.
    """

    what: str
    start: float
    end: float | None = None
    early: bool = False

    def seconds(self, now: float) -> float:
        return round((now if self.end is None else self.end) - self.start, 6)


class Ears:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._open: dict[str, dict[str, Heard]] = {}

    def update(self, channels: Iterable[Channel]) -> None:
        """Note what has changed for these channels and for all who share a bridge or a snoop with them."""
        for channel in _neighbours(channels):
            if channel.party is not None:
                self._note(channel, channel.party)
        self._core.changed()

    def _note(self, channel: Channel, party: Party) -> None:
        now = self._core.now
        was = self._open.setdefault(channel.id, {})
        audible = {} if channel.gone else dict.fromkeys(_audible(channel))
        for what in [what for what in was if what not in audible]:
            was.pop(what).end = now
        for what in audible:
            if what not in was:
                was[what] = Heard(what, now, early=channel.state != "Up")
                party.heard.append(was[what])
        if not was:
            del self._open[channel.id]


def _neighbours(channels: Iterable[Channel]) -> list[Channel]:
    found: dict[Channel, None] = {}
    todo = list(channels)
    while todo:
        channel = todo.pop()
        if channel in found:
            continue
        found[channel] = None
        todo += [] if channel.bridge is None else channel.bridge.members
        todo += channel.snoops
        if channel.spied is not None:
            todo.append(channel.spied)
    return list(found)


def _audible(channel: Channel) -> list[str]:
    """What reaches the party at the far end of the channel."""
    if channel.muted_out:
        return []
    whispered = [
        name
        for snoop in channel.snoops
        if snoop.whispers in ("out", "both") and snoop.bridge is not None
        for name in _voices(snoop.bridge, snoop)
    ]
    if channel.playing is not None:
        return [channel.playing.uri, *whispered]
    if channel.moh is not None:
        return [f"moh:{channel.moh}", *whispered]
    if channel.bridge is not None:
        return _bridged(channel.bridge, channel) + whispered
    return ([RINGING] if channel.ringing else []) + whispered


def _bridged(bridge: Bridge, channel: Channel) -> list[str]:
    heard = [bridge.playing.uri] if bridge.playing is not None else []
    if bridge.moh is not None:
        heard.append(f"moh:{bridge.moh}")
    return heard if bridge.kind == "holding" else heard + _voices(bridge, channel)


def _voices(bridge: Bridge, listener: Channel) -> list[str]:
    """The voices that the other members bring into a bridge; a member that listens to a playback is apart."""
    voices: list[str] = []
    for member in bridge.members:
        if member is listener or member.muted_in or member.playing is not None:
            continue
        if member.spied is not None:
            voices += _spied(member, member.spied)
        elif member.party is not None and not member.early_silent:
            voices.append(member.party.name)
            voices += [
                name
                for snoop in member.snoops
                if snoop.whispers in ("in", "both") and snoop.bridge is not None
                for name in _voices(snoop.bridge, snoop)
            ]
    own = listener.party.name if listener.party is not None else None
    return [voice for voice in voices if voice != own]


def _spied(snoop: Channel, target: Channel) -> list[str]:
    voices: list[str] = []
    if snoop.spies in ("in", "both") and target.party is not None and not target.muted_in:
        voices.append(target.party.name)
    if snoop.spies in ("out", "both"):
        voices += _audible(target)
    return voices
