"""A SIP device that does what no phone does: keeps every request, rings for ever, sings before it answers."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Self

from dcx_ari.media.tones import sine

_KEPT = re.compile(r"^(?:Via|From|Call-ID|CSeq):.*$", re.MULTILINE | re.IGNORECASE)
_FRAME = 160  # 20 ms of 8 kHz


class Device(asyncio.DatagramProtocol):
    """Answers INVITEs on `127.0.0.1:port` with `codes`, one after another; 183 comes with media, a tone of `tone_hz`.

    What it is cancelled or ended with is kept in `requests`, by method. `port + 2` is its port for media.
    """

    def __init__(self, port: int, *codes: int, tone_hz: float = 0) -> None:
        self.port = port
        self.requests: dict[str, list[str]] = {}
        self._codes = codes
        self._tone_hz = tone_hz
        self._transport: asyncio.DatagramTransport | None = None
        self._singing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._singing:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def header(self, method: str, name: str) -> str:
        """A header of the first request of this method; empty if it has none."""
        found = re.search(rf"^{name}: *(.*?)\r?$", self.requests[method][0], re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        request = data.decode("utf-8", errors="surrogateescape")
        method = request.split(" ", 1)[0]
        if method == "SIP/2.0":
            return
        known = self.requests.setdefault(method, [])
        known.append(request)
        if method == "INVITE":
            if _call_id(request) not in map(_call_id, known[:-1]):  # else it was sent again
                for code in self._codes:
                    self._reply(request, code, addr)
        elif method != "ACK":
            self._reply(request, 200, addr)
            if method == "CANCEL":
                invites = self.requests["INVITE"]
                self._reply(next(one for one in invites if _call_id(one) == _call_id(request)), 487, addr)

    def _reply(self, request: str, code: int, addr: tuple[str | int, int]) -> None:
        to = re.search(r"^To: *(.*?)\r?$", request, re.MULTILINE | re.IGNORECASE)
        lines = [f"SIP/2.0 {code} Whatever", *(line.rstrip("\r") for line in _KEPT.findall(request))]
        lines += [f"To: {to[1] if to else ''};tag=device", f"Contact: <sip:device@127.0.0.1:{self.port}>"]
        media = ""
        if code in (183, 200) and request.startswith("INVITE"):
            media = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=audio {self.port + 2} RTP/AVP 0\r\n"
            )
            lines.append("Content-Type: application/sdp")
            if self._tone_hz:
                self._sing(request)
        text = "\r\n".join([*lines, f"Content-Length: {len(media)}", "", media])
        if self._transport is not None:
            self._transport.sendto(text.encode("utf-8", errors="surrogateescape"), addr)

    def _sing(self, request: str) -> None:
        port = re.search(r"^m=audio (\d+)", request, re.MULTILINE)
        if port is not None:
            task = asyncio.create_task(self._stream(int(port[1])))
            self._singing.add(task)
            task.add_done_callback(self._singing.discard)

    async def _stream(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", self.port + 2), remote_addr=("127.0.0.1", port)
        )
        second = bytes(_ulaw(sample) for sample in sine(self._tone_hz, 1.02)[80 : 80 + 8000])
        began = loop.time()
        try:
            for number in range(6000):
                at = number * _FRAME % 8000
                stamp = (number * _FRAME).to_bytes(4, "big")
                transport.sendto(b"\x80\x00" + number.to_bytes(2, "big") + stamp + b"DCXT" + second[at : at + _FRAME])
                await asyncio.sleep(max(0.0, began + (number + 1) * 0.02 - loop.time()))
        finally:
            transport.close()


def _call_id(request: str) -> str:
    found = re.search(r"^Call-ID: *(\S+)", request, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def _ulaw(sample: int) -> int:
    """One 16-bit linear sample as G.711 µ-law (ITU-T G.711, table 2)."""
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF
