"""The state of the fake Asterisk, and how its events go out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dcx_ari.testing.applications import Application
from dcx_ari.testing.ears import Ears
from dcx_ari.testing.external import Sockets
from dcx_ari.testing.media import Media
from dcx_ari.testing.virtual_time import VirtualClock
from dcx_ari.testing.wire import Refused, timestamp

if TYPE_CHECKING:
    from dcx_ari.testing.bridges import Bridge
    from dcx_ari.testing.channels import Channel
    from dcx_ari.testing.far_end import Phone
    from dcx_ari.testing.playbacks import Playback
    from dcx_ari.testing.recordings import Recording

ASTERISK_ID = "02:00:00:00:00:01"


class Subject(Protocol):
    """A channel or a bridge: what an application can be subscribed to."""

    @property
    def id(self) -> str: ...
    @property
    def uri(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """An event: when, to which applications, and which of them had no connection."""

    at: float
    event: dict[str, Any]
    to: tuple[str, ...]
    lost: tuple[str, ...]


class Core:
    def __init__(self, clock: VirtualClock, *, setup_s: float, event_latency_s: float) -> None:
        self.clock = clock
        self.setup_s = setup_s
        self.event_latency_s = event_latency_s
        self.media = Media()
        self.ears = Ears(self)
        self.events: list[Sent] = []
        self.phones: dict[str, Phone] = {}
        self.stored: dict[str, dict[str, Any]] = {}
        self.applications: dict[str, Application] = {}
        self.static_objects: set[tuple[str, str]] = set()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._serial = 0
        self.dialplan: Callable[[Channel], None] = _hang_up
        self.reset()

    def reset(self) -> None:
        """What a restart leaves: nothing but recordings and who is connected."""
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.playbacks: dict[str, Playback] = {}
        self.recordings: dict[str, Recording] = {}
        self.objects: dict[tuple[str, str], dict[str, str]] = {}
        self.variables: dict[str, str] = {}
        self.media_sockets = Sockets()
        self.started_at: str | None = None

    # time and ids

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def timestamp(self) -> str:
        return timestamp(self.clock.now())

    def startup_time(self) -> str:
        if self.started_at is None:
            self.started_at = self.timestamp()
        return self.started_at

    def later(self, seconds: float, act: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, act, *args)

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def new_id(self) -> str:
        return f"{self.clock.start.timestamp():.0f}.{self.serial()}"

    # look-up

    def channel(self, channel_id: str) -> Channel:
        if (channel := self.channels.get(channel_id)) is None:
            raise Refused(404, "Channel not found")
        return channel

    def stasis_channel(self, channel_id: str) -> Channel:
        channel = self.channel(channel_id)
        if channel.app is None:
            raise Refused(409, "Channel not in Stasis application")
        return channel

    def bridge(self, bridge_id: str) -> Bridge:
        if (bridge := self.bridges.get(bridge_id)) is None:
            raise Refused(404, "Bridge not found")
        return bridge

    def playback(self, playback_id: str) -> Playback:
        if (playback := self.playbacks.get(playback_id)) is None:
            raise Refused(404, "Playback not found")
        return playback

    def application(self, name: str) -> Application:
        if name not in self.applications:
            self.applications[name] = Application(name)
        return self.applications[name]

    # events

    def emit(self, kind: str, fields: dict[str, Any], *, about: Sequence[Subject] = (), to: Sequence[str] = ()) -> None:
        """Send an event to the applications subscribed to any of `about`, and to those named in `to`."""
        names = list(to)
        for app in self.applications.values():
            if app.name not in names and any(app.follows(subject.uri) for subject in about):
                names.append(app.name)
        event = {"type": kind, "timestamp": self.timestamp(), **fields, "asterisk_id": ASTERISK_ID}
        if self.event_latency_s:
            self.later(self.event_latency_s, self._send, event, names)
        else:
            self._send(event, names)

    def _send(self, event: dict[str, Any], names: Sequence[str]) -> None:
        sent = {name: self.application(name).deliver({**event, "application": name}) for name in names}
        lost = [name for name, taken in sent.items() if not taken]
        self.events.append(Sent(self.now, event, tuple(names), tuple(lost)))
        self.changed()

    # waiting, for tests

    def changed(self) -> None:
        for waiter in list(self._waiters):
            condition, future = waiter
            if future.done():
                self._waiters.remove(waiter)
            elif condition():
                self._waiters.remove(waiter)
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait for something to become true of the fake; `TimeoutError` after `timeout_s`."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, future))
        async with asyncio.timeout(timeout_s):
            await future


def _hang_up(channel: Channel) -> None:
    """What follows `continue` unless a test sets another `Core.dialplan`: the dialplan ends."""
    channel.hang_up(16, soft=False)
