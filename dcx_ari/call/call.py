"""A call and its verbs.

Every verb that waits raises `CallEnded` when the caller goes. Flows never clean up channels: the runner does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dcx_ari.ari import events as ev
from dcx_ari.ari.encode import segment
from dcx_ari.ari.errors import Gone
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Request
from dcx_ari.call.errors import CallEnded
from dcx_ari.call.leg import Ended, Leg
from dcx_ari.call.ports import Inbound, Ports
from dcx_ari.call.signal import Signal
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.digits import Complete, DigitRule, Incomplete, Invalid, judge, match

if TYPE_CHECKING:
    from dcx_ari.call.listening import Listening

_ENTERS_S = 5.0  # Stasis; it follows the answer within a millisecond, where the machine is not busy
_PLAYBACK_START_S = 5.0
_PLAYBACK_MAX_S = 600.0
_HANGUP_TOLD_S = 1.0  # it follows within a millisecond, where the machine is not busy
_SURPLUS_MS = 2000  # people press # after the last digit of a full entry too: it must not answer the next question
GENERATION = 1000  # more than a call ever names of one role


class Call:
    """One call: the caller's leg, the legs we dialled, the bridges and playbacks between them.

    `id` names everything the call owns in Asterisk; `facts` is what came with the caller.
    """

    def __init__(self, call_id: str, facts: Inbound, ari: Ari, app: str, ports: Ports) -> None:
        self.id = call_id
        self.facts = facts
        self.started_at = ports.now_ms()
        self.ari = ari
        self.app = app
        self.ports = ports
        self.caller = Leg(facts.channel_id, inbound=True, in_stasis=True)
        self.legs: dict[str, Leg] = {}
        self.bridges: dict[str, bool] = {}  # id → exists in Asterisk
        self.tags: dict[str, str] = {}
        self.stage_name = "arrived"
        self.flow_id: int | None = None
        self.flow_version: int | None = None
        self.node: str | None = None  # of its flow, where the call is
        self.path = ""  # through the flow: "node:edge node:edge node"
        self.hangup_cause: int = Cause.NORMAL
        self.failure_reason: str | None = None
        self.ended_by: str | None = None
        self.recording_id: str | None = None
        self.buyer_id: int | None = None
        self.shown_number = facts.caller  # what a dialled party sees as the caller
        self.recorded: dict[str, str | None] = {}  # messages of the caller: name → None, "done" or "failed"
        self.left_message = False
        self.listening: Listening | None = None  # to what the caller says
        self.listened: list[Listening] = []  # of which something may still be there in Asterisk
        self._signal = Signal()
        self._playbacks: dict[str, str] = {}  # id → how it finished, "" until then
        self.generation = 0  # how often the call was taken over: by a process that did not begin it
        self._minted: dict[str, int] = {}
        self._indicating: str | None = None

    # -- events, from the one reader ------------------------------------------------------------------------

    def on_event(self, event: ev.Event, resource_id: str) -> None:
        now = self.ports.now_ms()
        if isinstance(event, ev.PlaybackFinished):
            self._playbacks[resource_id] = event.playback.state
        elif isinstance(event, ev.RecordingFinished | ev.RecordingFailed):
            self.recorded[resource_id] = event.recording.state
        elif resource_id == self.caller.id:
            self.caller.on_event(event, now)
        elif (leg := self.legs.get(resource_id)) is not None:
            leg.on_event(event, now)
        elif self.listening is not None:
            self.listening.on_event(event, resource_id)
        self._signal.pulse()

    # -- ids, stages, waiting -------------------------------------------------------------------------------

    def mint(self, role: str) -> str:
        """The next id of a role: `{call}.leg1`, `{call}.bridge1`, …; from 1001 on after a takeover."""
        number = self._minted[role] = self._minted.get(role, self.generation * GENERATION) + 1
        return f"{self.id}.{role}{number}"

    async def stage(self, name: str, **state: Any) -> None:
        """Name where the call is, durably, before acting on it."""
        self.note_stage(name, **state)
        await self.ports.journal.durable()

    def note_stage(self, name: str, **state: Any) -> None:
        """Name where the call is with the next group commit: for stages that Asterisk itself shows."""
        now = self.ports.now_ms()
        self.stage_name = name
        if self.node is not None:
            state = {"node": self.node, **state}
        if plays := self._minted.get("play"):
            state["plays"] = plays
        self.ports.journal.update(self.id, stage=name, stage_data=state)
        self.ports.journal.event(self.id, now, "stage", {"stage": name, **state})

    def note(self, kind: str, /, **data: Any) -> None:
        """Add to the call's history."""
        self.ports.journal.event(self.id, self.ports.now_ms(), kind, data)

    def tag(self, **values: str) -> None:
        """Set tags: facts that travel with the call, to routing filters, whispers and its row."""
        self.tags.update(values)
        self.ports.journal.update(self.id, tags=dict(self.tags))

    def nudge(self) -> None:
        """State was changed from outside of an event: let the waiting verbs look at it."""
        self._signal.pulse()

    def require(self) -> None:
        """Raise `CallEnded` if the caller has gone."""
        if self.caller.ended is not None:
            raise CallEnded(self.caller.ended.cause)

    async def wait(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait for something to be true of the call; False if `timeout_s` passes first."""
        caller = self.caller
        came = await self._signal.until(lambda: caller.ended is not None or condition(), timeout_s)
        self.require()
        return came

    async def wait_any(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """As `wait`, but goes on when the caller has gone (for the runner's own clean-up)."""
        return await self._signal.until(condition, timeout_s)

    async def in_stasis(self, leg: Leg) -> bool:
        """Wait until the leg can be played to and bridged; False if it ends first, or never comes.

        A leg that was originated is up a moment before it is in our application.
        """
        return await self.wait(lambda: leg.in_stasis or not leg.live, _ENTERS_S) and leg.live

    # -- verbs ----------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Answer the caller; at once if that has been done."""
        self.require()
        if self.caller.answered:
            return
        with self._caller_request():
            path = f"channels/{segment(self.caller.id)}/answer"
            await self.ari.transport.request(Request("POST", path, blocking=self._may_block, order=self.caller.id))
        self.caller.answered_at = self.caller.answered_at or self.ports.now_ms()
        self._indicating = None
        await self._sign()
        self.ports.journal.update(self.id, answered_at=self.caller.answered_at, status="IN_PROGRESS")

    async def play(self, *media: str, leg: Leg | None = None, barge_in: bool = False) -> bool:
        """Play media URIs one after another to the caller, or to `leg`.

        With `barge_in`, a digit that the listener has pressed (also before) stops it. False if it was cut short, or if
        the last of the media could not be played.
        """
        listener = leg or self.caller
        self.require()
        if (barge_in and self._cuts_in(listener)) or not listener.live:
            return False
        playback_id = self.mint("play")
        self._playbacks[playback_id] = ""
        with self._request(listener):
            await self.ari.channels.play_with_id(listener.id, playback_id, media=list(media))
        await self.wait(
            lambda: bool(self._playbacks[playback_id] or not listener.live or (barge_in and self._cuts_in(listener))),
            _PLAYBACK_MAX_S,
        )
        finished = self._playbacks.pop(playback_id)
        if not finished:
            with contextlib.suppress(Gone):
                await self.ari.playbacks.stop(playback_id)
        elif finished == "failed":  # so ends what a hang-up cuts, too, and the hang-up is told after it
            await self.wait(lambda: not listener.live, _HANGUP_TOLD_S)
        return finished == "done"

    async def speak(self, text: str, *, voice: str = "", leg: Leg | None = None, barge_in: bool = False) -> bool:
        """Speak `text`; as `play`. Raises `SpeechUnavailable`."""
        media = await self.ports.speech.say(text, voice)
        return await self.play(media, leg=leg, barge_in=barge_in)

    async def digits(
        self, rule: DigitRule, *, first_s: float, between_s: float, leg: Leg | None = None
    ) -> Complete | Invalid | None:
        """Collect digits from the caller (or `leg`) until the rule is satisfied or cannot be any more.

        None if no digit came within `first_s` seconds. A pause of `between_s` ends an incomplete entry, which
        is then judged as it stands. Where somebody listens to the caller (`listening`), a choice that is said is as
        good as its digits, and anything else that is said is an invalid entry without digits.
        """
        listener = leg or self.caller
        entry = ""
        if listener is self.caller and self.listening is not None and not listener.digits:
            said = await self.listening.until_answered(first_s)
            if said is not None:
                return Invalid("") if said.choice is None else Complete(said.choice)
            first_s = 0.0  # there is a digit, or the time is up
        while True:
            timeout = between_s if entry else first_s
            if not await self.wait(lambda: bool(listener.digits) or not listener.live, timeout):
                return judge(entry, rule) if entry else None
            digit = listener.take_digit()
            if digit is None:  # the leg has gone
                return None
            entry += digit
            verdict = match(entry, rule)
            if not isinstance(verdict, Incomplete):
                if rule.terminator and digit != rule.terminator:
                    listener.pass_over(rule.terminator, self.ports.now_ms() + _SURPLUS_MS)
                return verdict

    def _cuts_in(self, listener: Leg) -> bool:
        """Whether the listener has answered a prompt that still plays."""
        return bool(listener.digits) or (
            listener is self.caller and self.listening is not None and self.listening.chosen
        )

    async def ring(self) -> None:
        """Let the caller hear ringing: 180 before the answer, a generated tone after it."""
        await self._indicate("ring")

    async def music(self, music_class: str = "default") -> None:
        await self._indicate("music", music_class)

    async def quiet(self) -> None:
        """Stop ringing or music."""
        was, self._indicating = self._indicating, None
        if was is None or not self.caller.live:
            return
        with self._request(self.caller):
            if was == "ring":
                await self.ari.channels.ring_stop(self.caller.id)
            else:
                await self.ari.channels.stop_moh(self.caller.id)

    async def send_dtmf(self, digits: str, leg: Leg) -> None:
        self.require()
        with self._request(leg):
            await self.ari.channels.send_dtmf(leg.id, dtmf=digits)

    def sold_to(self, buyer_id: int, group_id: int | None) -> None:
        self.buyer_id = buyer_id
        self.ports.journal.update(self.id, buyer_id=buyer_id, group_id=group_id)

    def end(self, cause: int) -> None:
        """Say with which cause the runner is to release the caller."""
        self.hangup_cause = cause

    async def add_to_bridge(self, bridge_id: str, leg: Leg) -> None:
        """Put the caller and a leg into a bridge. Raises `Gone` if one of them has left."""
        path = f"bridges/{segment(bridge_id)}/addChannel"
        both = {"channel": f"{self.caller.id},{leg.id}"}
        await self.ari.transport.request(Request("POST", path, both, blocking=self._may_block, order=bridge_id))

    def marks(self, role: str) -> dict[str, Any]:
        """What Asterisk holds and reports for us on a channel or bridge: whose it is, for whoever finds it.

        One variable and not three: each costs Asterisk time at the making of every leg, while a caller waits.
        """
        return {"DCX": {"value": f"call={self.id} role={role} owner={self.app}", "report_events": True}}

    async def _sign(self) -> None:
        """Mark the caller's channel; the others are marked when they are made."""
        path, marks = f"channels/{segment(self.caller.id)}/variables", {"variables": self.marks("caller")}
        with self._caller_request():
            request = Request("POST", path, {}, marks, blocking=self._may_block, order=self.caller.id)
            await self.ari.transport.request(request)

    # -- requests -------------------------------------------------------------------------------------------

    @property
    def _may_block(self) -> bool:
        """Answering and bridging wait inside Asterisk for a playback on the channel to end. A call that has played
        nothing can take the quick way; any other must not hold up the event socket that all calls share.
        """
        return "play" in self._minted

    async def _indicate(self, what: str, music_class: str = "") -> None:
        self.require()
        if self._indicating == what:
            return
        if self._indicating is not None:
            await self.quiet()
        self._indicating = what
        with self._caller_request():
            if what == "ring":
                await self.ari.channels.ring(self.caller.id)
            else:
                await self.ari.channels.start_moh(self.caller.id, moh_class=music_class)

    @contextlib.contextmanager
    def _caller_request(self) -> Iterator[None]:
        """A request on the caller's channel: gone means that the caller has gone."""
        try:
            yield
        except Gone:
            self.caller.end(Ended(Cause.NORMAL, None), self.ports.now_ms())
            self._signal.pulse()
            raise CallEnded(Cause.NORMAL) from None

    @contextlib.contextmanager
    def _request(self, leg: Leg) -> Iterator[None]:
        """A request on any leg: gone ends the leg, and the call if it was the caller's."""
        try:
            yield
        except Gone:
            leg.end(Ended(Cause.NORMAL, None), self.ports.now_ms())
            self._signal.pulse()
            self.require()
