"""What we know of one channel, kept up to date by its events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from dcx_ari.ari import events as ev
from dcx_ari.ari.models import Channel
from dcx_ari.decide.causes import LegResult, leg_result
from dcx_ari.decide.conversion import Stages

_LOCAL_HANGUP = 32  # what Asterisk puts into the request for its own hangups: no Q.850 cause


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a channel: Q.850 cause, SIP status where there was one."""

    cause: int
    tech_cause: int | None


@dataclass(slots=True)
class Leg:
    """One channel of a call: the caller's own, or one we dialled.

    Times are epoch milliseconds. State only moves forward; events may come in any order and twice.
    """

    id: str
    endpoint: str = ""
    buyer_id: int | None = None
    group_id: int | None = None
    trunk_id: int | None = None
    position: int = 0
    bridge_id: str | None = None
    inbound: bool = False
    in_stasis: bool = False
    asked_cause: int = 16
    ended: Ended | None = None
    created: bool = False  # a channel was asked for
    cancelled: bool = False
    failed: LegResult | None = None
    digits: deque[str] = field(default_factory=deque)
    pressed: int = 0  # digits in all, also those taken already
    surplus: tuple[str, int] | None = None  # a key that ends an entry which is complete without it, until when
    dialled_at: int | None = None
    ringing_at: int | None = None
    answered_at: int | None = None
    accepted_at: int | None = None
    bridged_at: int | None = None
    ended_at: int | None = None

    @property
    def live(self) -> bool:
        return self.ended is None

    @property
    def answered(self) -> bool:
        return self.answered_at is not None

    @property
    def settled(self) -> bool:
        """Answered or over: nothing more to wait for while dialling."""
        return self.answered_at is not None or self.ended is not None

    @property
    def result(self) -> LegResult:
        """How the dialling of this leg ended; our own intent goes before what Asterisk reports."""
        if self.failed is not None:
            return self.failed
        if self.cancelled:
            return LegResult.CANCELLED
        if self.answered:
            return LegResult.ANSWERED
        if self.ended is None:
            return LegResult.NO_ANSWER
        alerted = self.ringing_at is not None
        return leg_result(cause=self.ended.cause, tech_cause=self.ended.tech_cause, alerted=alerted)

    def stages(self, caller_ended_at: int | None) -> Stages:
        """When it reached what, as rules about money ask for it; it ends with the caller at the latest."""
        ended = self.ended_at or caller_ended_at
        return Stages(self.dialled_at, self.answered_at, self.accepted_at, self.bridged_at, ended)

    def on_event(self, event: ev.Event, now_ms: int) -> None:
        match event:
            case ev.StasisStart():
                self.in_stasis = True
                if not self.inbound:
                    self._on_state(event.channel.state, now_ms)
            case ev.Dial(dialstatus="RINGING" | "PROGRESS"):
                self.ringing_at = self.ringing_at or now_ms
            case ev.Dial(dialstatus="ANSWER"):
                self.answered_at = self.answered_at or now_ms
            case ev.ChannelStateChange():
                self._on_state(event.channel.state, now_ms)
            case ev.ChannelDtmfReceived():
                self._on_digit(event.digit, now_ms)
            case ev.ChannelHangupRequest():
                if event.cause and event.cause != _LOCAL_HANGUP:
                    self.asked_cause = event.cause
            case ev.StasisEnd() if self.inbound:
                # Nothing but a hangup takes a caller out of our application, and the news of the channel's
                # end comes later or, if the subscription went with it, never.
                self.end(Ended(self.asked_cause, None), now_ms)
            case ev.ChannelDestroyed():
                self.end(Ended(event.cause, event.tech_cause), now_ms)
            case _:
                pass

    def seen(self, channel: Channel, now_ms: int) -> None:
        """What a list of channels shows of it; events that would have said so were missed."""
        self.in_stasis = self.in_stasis or channel.dialplan.app_name == "Stasis"
        if not self.inbound:
            self._on_state(channel.state, now_ms)

    def _on_digit(self, digit: str, now_ms: int) -> None:
        self.pressed += 1
        surplus, self.surplus = self.surplus, None
        if surplus is None or surplus[0] != digit or now_ms > surplus[1]:
            self.digits.append(digit)

    def _on_state(self, state: str, now_ms: int) -> None:
        if state == "Ringing":
            self.ringing_at = self.ringing_at or now_ms
        elif state == "Up":
            self.answered_at = self.answered_at or now_ms

    def end(self, ended: Ended, now_ms: int) -> None:
        if self.ended is None:
            self.ended = ended
            self.ended_at = now_ms

    def pass_over(self, digit: str, until_ms: int) -> None:
        """Ignore this key if it is the next one, and comes in time."""
        if not self.digits:
            self.surplus = (digit, until_ms)
        elif self.digits[0] == digit:
            self.digits.popleft()

    def take_digit(self) -> str | None:
        return self.digits.popleft() if self.digits else None
