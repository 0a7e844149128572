"""What call control needs from the shell. Flows see these seams and never what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dcx_ari.call.leg import Leg

if TYPE_CHECKING:
    from dcx_ari.call.call import Call
    from dcx_ari.decide.conversion import Conversion
    from dcx_ari.decide.decision import Decision, Step
    from dcx_ari.decide.rows import Buyer, ConversionRule
    from dcx_ari.decide.snapshot import Snapshot


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


class SpeechUnavailable(Exception):
    """No speech engine, or it failed; the message says which and how to mend it."""


class Recorder(Protocol):
    """Stereo recording of a bridged pair, from the caller's channel: caller left, buyer right."""

    async def start(self, call_id: str, recording_id: str, channel_id: str, at_ms: int) -> None: ...

    async def pause(self, recording_id: str, paused: bool, at_ms: int) -> None: ...

    def resume(self, call_id: str, recording_id: str, channel_id: str, started_at: int) -> None:
        """A recording that another process began goes on, or is to be stopped."""
        ...

    async def stop(self, recording_id: str, at_ms: int) -> None:
        """Stop; the file is made ready in the background. No error if it never started or has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that another process reserved and connected, as far as its row and the ledger tell of it."""

    attempt: int
    buyer: Buyer
    decision: Decision
    rules: tuple[tuple[int, ConversionRule], ...]


class Desk(Protocol):
    """Where calls meet configuration, caps and money. Attempts are numbered within a call, from 1."""

    def snapshot(self) -> Snapshot:
        """The configuration as of now, immutable."""
        ...

    def records(self, call: Call) -> bool:
        """Whether the talk is to be recorded: the number's setting, else its campaign's."""
        ...

    async def route(self, call: Call, campaign_id: int | None, tried: frozenset[int], connections: int) -> Decision:
        """Decide who is offered the call, and keep the Decision with the call."""
        ...

    async def reserve(
        self, call: Call, attempt: int, step: Step, buyer: Buyer, group_attempt: int | None
    ) -> Mapping[str, Any] | None:
        """Take all caps of an attempt; None, or the cap that had no room and its figures."""
        ...

    async def answered(self, call: Call, attempt: int) -> None:
        """The attempt was answered and accepted: it counts as a connect."""
        ...

    def rules(self, call: Call, decision: Decision, buyer: Buyer) -> tuple[tuple[int, ConversionRule], ...]:
        """The buyer's conversion rules that hold for this call; none where it is routed unpaid."""
        ...

    async def convert(self, call: Call, attempt: int, buyer: Buyer, conversion: Conversion) -> None:
        """The attempt converts, once: caps and revenue in one transaction."""
        ...

    async def settle(self, call: Call, attempt: int, *, connected: bool) -> None:
        """The attempt is over: what it held is used or free again. Nothing happens the second time."""
        ...

    async def release(self, call: Call, attempt: int) -> None:
        """The attempt lost a simultaneous ring: nothing of it counts."""
        ...

    async def restore(
        self, call: Call, decision: str | None, leg: Leg | None, attempt: int | None, group_attempt: int | None
    ) -> Held | None:
        """Remember a call that another process began: its stored Decision, and the attempt whose leg it talks with.
        None where there is no such attempt, or its buyer is no more. Whatever else the call had open is freed."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What an outside system is asked over HTTP. `body` is sent as JSON; None sends none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    timeout_s: float


class WebFailed(Exception):
    """No answer that can be used; the message says why in a few words, without what was asked."""


class Web(Protocol):
    async def ask(self, question: Question) -> Any:
        """The JSON of a 200 answer of at most 64 KiB. Redirects are not followed, inner addresses not asked.

        Raises `WebFailed`.
        """
        ...


class PromptMissing(Exception):
    """There is no prompt of that name, or its file cannot be played."""


class Prompts(Protocol):
    async def media(self, name: str) -> str:
        """The ARI media URI of an uploaded prompt. Raises `PromptMissing`."""
        ...


class Callbacks(Protocol):
    async def request(self, call: Call, number: str, due_at: int) -> bool:
        """Keep the caller's wish to be called back at `number` from `due_at` (epoch ms) on; False if that failed."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What is to become of a message: who gets it by mail, and the urgency it is kept with."""

    mail_to: tuple[str, ...] = ()
    priority: str = "normal"


class Voicemails(Protocol):
    def greeting(self, call: Call) -> str | None:
        """The prompt that the dialled number greets with; None: as the flow says."""
        ...

    async def begin(self, call: Call, voicemail_id: str, message: Message) -> None:
        """A message is about to be recorded under that name. Durable, so that it is found whatever dies."""
        ...

    async def under_way(self, call: Call) -> str | None:
        """The message of this call that another process began to record; None: there is none."""
        ...

    async def finish(self, call: Call, voicemail_id: str) -> bool:
        """Recording is over: keep the message, unless nothing is in it; False then, or where that failed."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that the caller has said: `choice` None where it is none of the choices. `words` as they were heard."""

    choice: str | None
    words: str = ""


class Listener(Protocol):
    """Who wants to know what the caller says. Each `speaks` is followed by one `heard`."""

    def speaks(self) -> None:
        """The caller begins to say something."""
        ...

    def heard(self, what: Heard | None) -> None:
        """It is over; None: it was no speech after all, only noise."""
        ...


class ListeningFailed(Exception):
    """Nothing can be recognised (any more); the message says why and how to mend it."""


class Ears(Protocol):
    async def listen(self, connection: str, choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        """Read the audio of a WebSocket channel of Asterisk's (16 bit, 8 kHz) and tell `listener` which of `choices`
        (their phrases, in plain words) the caller says. Returns when the channel ends; cancel it to stop.

        Raises `ListeningFailed`.
        """
        ...


class Absent:
    """Stands for a part of the shell that is not there: a web, prompts, callbacks, voicemail, ears that always fail."""

    async def ask(self, question: Question) -> Any:
        raise WebFailed("webhooks are not available here")

    async def media(self, name: str) -> str:
        raise PromptMissing(f"no prompt {name!r}: uploaded prompts are not available here")

    async def request(self, call: Call, number: str, due_at: int) -> bool:
        return False

    def greeting(self, call: Call) -> str | None:
        return None

    async def begin(self, call: Call, voicemail_id: str, message: Message) -> None: ...

    async def under_way(self, call: Call) -> str | None:
        return None

    async def finish(self, call: Call, voicemail_id: str) -> bool:
        return False

    async def listen(self, connection: str, choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        raise ListeningFailed("nobody recognises speech here")


_ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Ports:
    journal: Journal
    speech: Speech
    recorder: Recorder
    now_ms: Callable[[], int]
    desk: Desk
    web: Web = _ABSENT
    prompts: Prompts = _ABSENT
    callbacks: Callbacks = _ABSENT
    voicemails: Voicemails = _ABSENT
    ears: Ears = _ABSENT
