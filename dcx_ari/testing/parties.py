"""The people at the far ends: callers, and those whose phones are rung."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dcx_ari.testing.causes import refusal_status
from dcx_ari.testing.ears import Heard

if TYPE_CHECKING:
    from dcx_ari.testing.channels import Channel

PATIENCE_S = 300.0
SCHEMES = ("sound", "recording", "number", "digits", "characters", "tone")


class Party:
    """One person in one call, and everything that happened to them.

    heard        what they heard, in order (see `Heard`)
    digits       the digits that reached them
    answered_at, ended_at   seconds on the loop's clock, None if it did not happen
    cause        the Q.850 cause of the end
    """

    def __init__(self, channel: Channel, name: str) -> None:
        self.channel = channel
        self.name = name
        self.heard: list[Heard] = []
        self.digits: list[str] = []
        self.started_at = channel.core.now
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.cause: int | None = None
        self.on_dial: Callable[[], None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(heard.what for heard in self.heard) or 'heard nothing'}>"

    # what they do

    def at(self, seconds: float, act: Callable[..., object], *args: Any) -> None:
        """Do something `seconds` from now, unless the call has ended by then."""
        self._timers.append(self.channel.core.later(seconds, act, *args))

    async def press(self, digits: str, *, after: float = 0.0, gap: float = 0.2) -> None:
        """Press keys: the first after `after` seconds, then one each `gap` seconds."""
        if after:
            await asyncio.sleep(after)
        for number, digit in enumerate(digits):
            if number:
                await asyncio.sleep(gap)
            self.digit(digit)

    def digit(self, digit: str) -> None:
        """Press one key now."""
        self.channel.digit(digit)

    def say(self, words: str) -> None:
        """Say something: whoever reads a WebSocket channel that listens gets it as UTF-8."""
        self.channel.core.media_sockets.say(self, words)

    def hang_up(self, *, after: float = 0.0, cause: int = 16) -> None:
        """Hang up, now or in `after` seconds."""
        if after:
            self.at(after, self._hang_up, cause)
        else:
            self._hang_up(cause)

    def _hang_up(self, cause: int) -> None:
        if self.channel.ending is None:
            self.channel.hang_up(cause, soft=False)

    def begin(self) -> None:
        """The phone is dialled: their script begins."""
        if self.on_dial is not None:
            self.on_dial()

    def ring(self) -> None:
        """The phone rings (180)."""
        if self._unanswered() and self.channel.state != "Ringing":
            self.channel.set_state("Ringing")
            self.channel.dial_event("RINGING")

    def progress(self) -> None:
        """Early media (183): they can be heard before they answer."""
        if self._unanswered():
            self.channel.progressed = True
            self.channel.dial_event("PROGRESS")
            self.channel.heard_changed()

    def answer(self) -> None:
        if not self._unanswered():
            return
        if self.channel.dial_timer is not None:
            self.channel.dial_timer.cancel()
        self.channel.set_state("Up")
        self.channel.dial_event("ANSWER")
        if self.channel.on_answer is not None:
            self.channel.on_answer()

    def refuse(self, cause: int, status: int) -> None:
        """Refuse the call: a Q.850 cause and the SIP status that carries it."""
        if self._unanswered():
            tech_cause = status if self.channel.name.startswith("PJSIP/") else None
            self.channel.hang_up(cause, tech_cause=tech_cause, soft=False)

    def _unanswered(self) -> bool:
        return not self.channel.gone and self.channel.ending is None and self.channel.state != "Up"

    def ended(self, cause: int, tech_cause: int | None) -> None:
        """The channel is gone (called by the channel)."""
        for timer in self._timers:
            timer.cancel()
        self.ended_at = self.channel.core.now
        self.cause = cause
        self.channel.core.changed()

    # what they see and hear

    @property
    def in_call(self) -> bool:
        return self.ended_at is None

    @property
    def hearing(self) -> list[str]:
        """What they hear now."""
        return [heard.what for heard in self.heard if heard.end is None]

    @property
    def media(self) -> list[str]:
        """The media that were played to them, in order, without voices."""
        return [heard.what for heard in self.heard if heard.what.partition(":")[0] in (*SCHEMES, "moh")]

    def seconds_of(self, what: str) -> float:
        """For how long they heard it (exact name), until now."""
        return sum(h.seconds(self.channel.core.now) for h in self.heard if h.what == what)

    def talked_with(self, other: Party) -> float:
        """For how many seconds the two heard each other."""
        now = self.channel.core.now
        ours = [(h.start, now if h.end is None else h.end) for h in self.heard if h.what == other.name]
        theirs = [(h.start, now if h.end is None else h.end) for h in other.heard if h.what == self.name]
        return round(sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in ours for b in theirs), 6)

    async def hears(self, what: str, *, timeout_s: float = PATIENCE_S) -> Heard:
        """Wait until they hear something whose name contains `what`, or have heard it already."""

        def found() -> Heard | None:
            return next((heard for heard in self.heard if what in heard.what), None)

        await self.channel.core.until(lambda: found() is not None, timeout_s)
        heard = found()
        assert heard is not None  # noqa: S101 - what was just waited for
        return heard

    async def until_answered(self, *, timeout_s: float = PATIENCE_S) -> None:
        await self.channel.core.until(lambda: self.answered_at is not None, timeout_s)

    async def until_ended(self, *, timeout_s: float = PATIENCE_S) -> None:
        await self.channel.core.until(lambda: self.ended_at is not None, timeout_s)


class Caller(Party):
    """Somebody who calls in.

    turned_away  no application took the call: they are where the dialplan's fallback is
    """

    def __init__(self, channel: Channel, name: str, dialled: str) -> None:
        super().__init__(channel, name)
        self.dialled = dialled
        self.turned_away = False

    @property
    def refused_status(self) -> int | None:
        """The SIP status of a call that ended unanswered, None for any other."""
        if self.ended_at is None or self.answered_at is not None or self.cause is None:
            return None
        return refusal_status(self.cause)
