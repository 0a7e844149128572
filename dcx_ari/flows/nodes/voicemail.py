"""voicemail: greet, beep, and record what the caller says."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.call.message import NotRecorded, record_caller, still_records, until_recorded
from dcx_ari.call.ports import Message
from dcx_ari.flows.nodes.base import Edge, Name, Node, Piece, Say, Sound, pieces
from dcx_ari.flows.prompts import play_all

_GREETING = "Please leave a message after the tone."

Address = Annotated[str, Meta(pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+$", max_length=254, description="E-mail address")]


async def message_under_way(call: Call) -> str | None:
    """The message that the caller was leaving when the call was taken over."""
    return await call.ports.voicemails.under_way(call) if call.generation else None


class Voicemail(Node, frozen=True, tag="voicemail"):
    """Take a message. It ends when the caller hangs up, is silent for `silence_s`, presses `finish`, or after
    `max_s` seconds.

    The number's own greeting comes before the node's. A digit skips the greeting. A caller who hangs up before the
    tone, or says nothing, leaves no message. `on.failed` is taken where Asterisk could not record.
    """

    waits: ClassVar[bool] = True

    say: Say | None = None
    sound: Sound | None = None
    beep: Annotated[bool, Meta(description="Whether a tone says that it begins")] = True
    silence_s: Annotated[int, Meta(ge=0, le=60, description="Seconds of silence that end it; 0: none do")] = 5
    max_s: Annotated[int, Meta(ge=5, le=900, description="Seconds that a message may last")] = 120
    finish: Annotated[Literal["any", "*", "#", "none"], Meta(description="Digit that ends the message")] = "any"
    email: Annotated[tuple[Address, ...], Meta(max_length=20, description="Who gets it by e-mail, with the audio")] = ()
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    next: Name | None = None
    on: dict[Literal["failed", "any"], Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.say is not None and self.sound is not None:
            raise ValueError("a voicemail node has say or sound, not both")

    def ends(self) -> bool:
        return self.next is None

    async def run(self, call: Call) -> Edge | None:
        recorded = await self.take(call)
        if not recorded and (edge := self.following("failed")) is not None:
            return edge
        return None if self.next is None else Edge("next", self.next)

    async def take(self, call: Call) -> bool:
        """Greet and record, or go on with what was being recorded when the call was taken over. False: it could not be
        recorded.
        """
        await call.quiet()
        await call.answer()
        under_way = await message_under_way(call)
        if under_way is None:
            await self._greet(call)
        return await self._take(call, under_way)

    async def _greet(self, call: Call) -> None:
        own = call.ports.voicemails.greeting(call)
        greeting = (Piece(prompt=own),) if own else pieces(self.say, self.sound) or (Piece(say=_GREETING),)
        call.caller.digits.clear()  # those before are not meant for this
        await play_all(call, greeting, barge_in=True)
        call.caller.digits.clear()

    async def _take(self, call: Call, under_way: str | None) -> bool:
        """Whether the recording ran; whether anything was in it is another question."""
        name, ports = under_way or call.mint("vm"), call.ports
        if under_way is None:
            await ports.voicemails.begin(call, name, Message(self.email, self.priority))
        ran = False
        try:
            if under_way is None:
                limits = {"max_s": self.max_s, "silence_s": self.silence_s}
                await record_caller(call, name, **limits, terminate_on=self.finish, beep=self.beep)
            ran = under_way is not None and not await still_records(call, name)
            ran = ran or await until_recorded(call, name, self.max_s, self.finish)
        except NotRecorded as error:
            call.require()
            call.note("voicemail_failed", error=str(error))
        finally:
            call.left_message = await ports.voicemails.finish(call, name) or call.left_message
            call.note("voicemail", id=name, kept=call.left_message)
        return ran
