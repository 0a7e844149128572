"""What callers and buyers have in common: dialogs, requests that are repeated until somebody answers, sound."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from chaos.records import Seen
from chaos.rtp import Address, Media, Stream
from chaos.sip import Header, Message, media_of, parse, response, sdp

T1_S = 0.5  # RFC 3261, 17.1.1.2; requests are given up after 64 of them
T2_S = 4.0
GIVE_UP_S = 64 * T1_S


@dataclass(eq=False, slots=True)
class Dialog:
    """One call of one phone. `local` and `remote` are From and To of its own requests."""

    call_id: str
    seen: Seen
    local: str
    remote: str
    target: str
    cseq: int = 1
    stream: Stream | None = None
    invite: Message | None = None  # the buyer's: what he was invited with
    ack: bytes = b""  # the caller's: sent again with every 200
    branch: str = ""
    over: bool = False
    left: bool = False  # CANCEL was sent
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Party(asyncio.DatagramProtocol):
    """Phones at one address that all talk to one Asterisk. Tells `report` what became of each call."""

    def __init__(self, address: Address, switch: Address, media: Media, report: Callable[[Seen], None]) -> None:
        self.address = address
        self.switch = switch
        self.dialogs: dict[str, Dialog] = {}
        self.tag = f"t{random.getrandbits(40):x}"
        self._media = media
        self._report = report
        self._transport: asyncio.DatagramTransport | None = None
        self._unanswered: dict[tuple[str, str], asyncio.TimerHandle] = {}

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)

    def error_received(self, exc: Exception) -> None:
        """Asterisk is away: repeating is what helps."""

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        message = parse(data)
        if message is None:
            return
        if message.status:
            self._answered(message)
        else:
            self._asked(message)

    # -- out ------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.switch)

    def reply(self, request: Message, status: int, words: str, *more: Header, body: str = "") -> None:
        self.send(response(request, status, words, self.tag, [*more, ("Contact", self.contact)], body))

    @property
    def contact(self) -> str:
        return f"<sip:chaos@{self.address[0]}:{self.address[1]}>"

    def description(self, n: int) -> str:
        """What call `n` offers, or answers."""
        return sdp(*self._media.address(n))

    def request(self, dialog: Dialog, method: str, *, branch: str = "", body: str = "") -> Message:
        via = f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};rport;branch={branch or new_branch()}"
        headers = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", dialog.local),
            ("To", dialog.remote),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{dialog.cseq} {method}"),
            ("Contact", self.contact),
        ]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return Message(f"{method} {dialog.target} SIP/2.0", headers, body)

    def repeat(self, message: Message, given_up: Callable[[], None] = lambda: None) -> None:
        """Send a request, again and again, until there is any response."""
        self._repeat(message.encode(), (message.branch, message.method), T1_S, time.monotonic(), given_up)

    def _repeat(
        self, data: bytes, key: tuple[str, str], wait_s: float, began: float, given_up: Callable[[], None]
    ) -> None:
        self._unanswered.pop(key, None)
        if time.monotonic() - began > GIVE_UP_S:
            given_up()
            return
        self.send(data)
        again = (data, key, min(T2_S, 2 * wait_s), began, given_up)
        self._unanswered[key] = asyncio.get_running_loop().call_later(wait_s, self._repeat, *again)

    def settle(self, branch: str, method: str) -> None:
        if timer := self._unanswered.pop((branch, method), None):
            timer.cancel()

    # -- in -------------------------------------------------------------------------------------------------

    def _answered(self, message: Message) -> None:
        self.settle(message.branch, message.method)

    def _asked(self, message: Message) -> None:
        dialog = self.dialogs.get(message.header("call-id"))
        if message.method == "OPTIONS":
            self.reply(message, 200, "OK")
        elif message.method == "ACK":
            if dialog is not None:
                self.settle(dialog.branch, "200")
        elif dialog is None:
            self.reply(message, 481, "No such call")
        elif message.method == "BYE":
            self.reply(message, 200, "OK")
            self.finish(dialog, "told to end")
        elif message.method in ("INVITE", "UPDATE"):
            self.reply(message, 200, "OK", body=self.description(dialog.seen.n))
        else:
            self.reply(message, 200, "OK")

    # -- a call ---------------------------------------------------------------------------------------------

    def talk(self, dialog: Dialog, message: Message, hz: int, far_hz: int) -> None:
        """Sound both ways, to where `message` says."""
        far = media_of(message.body)
        if far is not None and dialog.stream is None and not dialog.over:
            dialog.stream = self._media.open(dialog.seen.n, far, hz, far_hz)

    def hang_up(self, dialog: Dialog) -> None:
        if not dialog.over:
            dialog.cseq += 1
            self.repeat(self.request(dialog, "BYE"))
            self.finish(dialog, "hung up")

    def later(self, dialog: Dialog, seconds: float, what: Callable[[Dialog], None]) -> None:
        """Unless the call is over by then."""
        dialog.timers.append(asyncio.get_running_loop().call_later(seconds, what, dialog))

    def finish(self, dialog: Dialog, end: str) -> None:
        """It is over for this phone; late repetitions of the far end still find it for a while."""
        if dialog.over:
            return
        dialog.over = True
        for timer in dialog.timers:
            timer.cancel()
        self.settle(dialog.branch, "200")
        dialog.seen.ended_at, dialog.seen.end = time.time(), end
        if dialog.stream is not None:
            dialog.seen.heard = self._media.close(dialog.stream)
        self._report(dialog.seen)
        asyncio.get_running_loop().call_later(GIVE_UP_S, self.dialogs.pop, dialog.call_id, None)

    def live(self) -> list[Dialog]:
        return [dialog for dialog in self.dialogs.values() if not dialog.over]

    def drop(self, at: float) -> None:
        """An Asterisk has died at this time, and whoever it had answered waits in vain."""
        for dialog in self.live():
            if dialog.seen.invited_at < at and not self.waits(dialog):
                self.finish(dialog, "dropped")

    def waits(self, dialog: Dialog) -> bool:
        """Whether it still tries to reach an Asterisk at all."""
        return False


def new_branch() -> str:
    return f"z9hG4bK{random.getrandbits(60):x}"


def say(record: msgspec.Struct) -> None:
    """One line of JSON for whoever started this process."""
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    sys.stdout.flush()
