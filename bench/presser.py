"""A caller who presses digits and notes the instants, to the packet: a small SIP phone with an RTP sender of its own.

A phone program would say when it was told to press; what counts is when the first packet with the end bit
(RFC 4733) left, and when the answer to it came in.
"""

import asyncio
import itertools
import random
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

from bench import ports

PACKET_S, SAMPLES = 0.02, 160
DIGIT_PACKETS, END_PACKETS = 5, 3  # 100 ms: what is shorter than 80 ms, Asterisk makes longer
AUDIO, EVENT = 0, 101  # payload types
LOUD_EXPONENT, LOUD_SAMPLES = 4, 8  # of a µ-law byte; so many such bytes in a packet are no silence
LIMIT_S = 5.0
_numbers = itertools.count(1)


class Silence(RuntimeError):
    """What should have followed a digit did not come."""


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, float], None]) -> None:
        self.take = take

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self.take(data, time.perf_counter())


def loud(packet: bytes) -> bool:
    """If an RTP packet of µ-law holds sound."""
    if len(packet) <= 12 or packet[1] & 0x7F != AUDIO:
        return False
    return sum((~byte & 0x7F) >> 4 >= LOUD_EXPONENT for byte in packet[12:]) >= LOUD_SAMPLES


class Presser:
    """One call. Instants are of `time.perf_counter`; None: not yet."""

    def __init__(self, host: str, target: tuple[str, int], number: str) -> None:
        self.host, self.target = host, target
        self.uri = f"sip:{number}@{target[0]}:{target[1]}"
        self.name = f"press{next(_numbers)}-{random.getrandbits(32):08x}"
        self.sip: asyncio.DatagramTransport
        self.rtp: asyncio.DatagramTransport
        self.there: tuple[str, int] | None = None  # where our RTP goes
        self.sounded: float | None = None
        self.ended: float | None = None
        self.pressed: int | None = None  # the event that is being sent
        self.pressed_until: float | None = None  # the instant of the digit's end
        self.news = asyncio.Event()

    async def open(self) -> Self:
        loop = asyncio.get_running_loop()
        for name, take, port in (("sip", self.on_sip, ports.PRESSER), ("rtp", self.on_rtp, ports.PRESSER_RTP)):
            protocol = _Datagrams(take)
            made = await loop.create_datagram_endpoint(lambda p=protocol: p, local_addr=(self.host, port))  # type: ignore[misc]
            setattr(self, name, made[0])
        return self

    async def close(self) -> None:
        self.sip.close()
        self.rtp.close()
        await asyncio.sleep(0)  # closed by the loop's next turn; the next call wants the ports

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise Silence(f"no {what} within {LIMIT_S:g} s") from None

    # ── SIP ──────────────────────────────────────────────────────────────────────────────────────

    def invite(self) -> None:
        sdp = (
            f"v=0\r\no=bench 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {ports.PRESSER_RTP} RTP/AVP {AUDIO} {EVENT}\r\na=rtpmap:{AUDIO} PCMU/8000\r\n"
            f"a=rtpmap:{EVENT} telephone-event/8000\r\na=fmtp:{EVENT} 0-15\r\n"
        )
        contact = f"Contact: <sip:bench@{self.host}:{ports.PRESSER}>\r\nContent-Type: application/sdp\r\n"
        self.request("INVITE", self.uri, f"<{self.uri}>", contact, sdp)

    def request(self, method: str, uri: str, to: str, more: str = "", body: str = "") -> None:
        text = (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{ports.PRESSER};branch=z9hG4bK{self.name}{method}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:+12125570199@{self.host}>;tag={self.name}\r\nTo: {to}\r\n"
            f"Call-ID: {self.name}\r\nCSeq: 1 {method}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(text.encode(), self.target)

    def on_sip(self, data: bytes, at: float) -> None:
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("call-id") != self.name:  # a late word of the call before
            return
        if first.startswith("SIP/2.0 200") and headers["cseq"].endswith("INVITE"):
            self.request("ACK", headers["contact"].partition("<")[2].partition(">")[0], headers["to"])
            media = [line.split() for line in body.split("\r\n") if line.startswith(("c=", "m="))]
            self.there = next(m[2] for m in media if m[0] == "c=IN"), int(next(m[1] for m in media if "audio" in m[0]))
        elif first.startswith("BYE"):
            self.ended = self.ended or at
            kept = "".join(
                f"{line}\r\n" for line in lines if line.lower().startswith(("via", "from", "to", "call-id", "cseq"))
            )
            self.sip.sendto(f"SIP/2.0 200 OK\r\n{kept}Content-Length: 0\r\n\r\n".encode(), self.target)
        self.news.set()

    # ── RTP ──────────────────────────────────────────────────────────────────────────────────────

    def on_rtp(self, data: bytes, at: float) -> None:
        if self.sounded is None and loud(data):
            self.sounded = at
            self.news.set()

    async def talk(self) -> None:
        """Send silence, and the digit that is to be pressed, until cancelled."""
        if self.there is None:
            raise RuntimeError("there is nobody to talk to yet")
        count, began, packet = 0, time.perf_counter(), 0
        while True:
            event, stamp = self.pressed, count * SAMPLES
            if event is None:
                payload, kind, mark, packet = b"\xff" * SAMPLES, AUDIO, 0, 0
            else:
                packet += 1
                ending = packet > DIGIT_PACKETS
                stamp = (count - packet + 1) * SAMPLES  # of the event's beginning
                lasted = min(packet, DIGIT_PACKETS) * SAMPLES
                payload, kind = struct.pack("!BBH", event, 10 | (0x80 if ending else 0), lasted), EVENT
                mark = 0x80 if packet == 1 else 0
            header = struct.pack("!BBHII", 0x80, kind | mark, count & 0xFFFF, stamp, 0x0DC0FFEE)
            if packet == DIGIT_PACKETS + 1:
                self.pressed_until = time.perf_counter()
            self.rtp.sendto(header + payload, self.there)
            if packet == DIGIT_PACKETS + 1:
                self.news.set()
            if packet == DIGIT_PACKETS + END_PACKETS:
                self.pressed = None
            count += 1
            await asyncio.sleep(max(0.0, began + count * PACKET_S - time.perf_counter()))

    async def press(self, digit: str) -> float:
        """The instant at which the digit's end was sent. The digit before it must be over, with all its packets."""
        if self.pressed is not None:
            raise RuntimeError("the digit before it is still being sent")
        self.pressed, self.pressed_until = "0123456789*#".index(digit), None
        await self.until(lambda: self.pressed_until is not None, "end of our own digit")
        return self.pressed_until or 0.0


@asynccontextmanager
async def call(host: str, target: tuple[str, int], number: str) -> AsyncIterator[Presser]:
    """A call that has been answered, and talks. Raises Silence if it is not."""
    presser = await Presser(host, target, number).open()
    try:
        presser.invite()
        await presser.until(lambda: presser.there, "answer")
        talking = asyncio.create_task(presser.talk())
        try:
            yield presser
        finally:
            talking.cancel()
            await asyncio.wait([talking])
    finally:
        await presser.close()
