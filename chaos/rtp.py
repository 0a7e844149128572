"""The sound of all calls of one process: one socket, one thread that sends, one that listens.

Threads and no event loop, because what is measured are packets that must leave every 20 ms, hundreds of times.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from chaos.records import Heard
from chaos.sound import PACKET, PACKETS, Ear, packets

_TICK_S = 0.02
_GAP_S = 0.3  # a window of ten packets lasts 0.2 s; less than another half is jitter
_MOST_GAPS = 20
_BUFFER = 8 << 20
Address = tuple[str, int]


class Stream:
    """One phone's end of one talk: sends `hz` to `far`, listens for `far_hz`."""

    def __init__(self, far: Address, hz: int, far_hz: int) -> None:
        self.far = far
        self.heard = Heard()
        self._payloads = packets(hz)
        self._ear = Ear(far_hz)
        self._ssrc = random.getrandbits(32)
        self._sent = random.getrandbits(15)
        self._next_seq: int | None = None
        self._window: list[bytes] = []
        self._window_at = 0.0

    def packet(self) -> bytes:
        """The next one to send (RFC 3550, 5.1)."""
        number = self._sent
        self._sent += 1
        header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * PACKET & 0xFFFFFFFF, self._ssrc)
        return header + self._payloads[number % PACKETS]

    def take(self, packet: bytes, at: float) -> None:
        """One that came."""
        if len(packet) < 12 or packet[1] & 0x7F != 0:
            return
        seq = int.from_bytes(packet[2:4], "big")
        if self._next_seq is not None and 0 < (missing := (seq - self._next_seq) & 0xFFFF) < 1000:
            self.heard.lost += missing
        self._next_seq = (seq + 1) & 0xFFFF
        self.heard.packets += 1
        if not self._window:
            self._window_at = at
        self._window.append(packet[12 : 12 + PACKET])
        if len(self._window) == PACKETS:
            if self._ear.hears(b"".join(self._window)):
                self._tone(self._window_at, at)
            self._window.clear()

    def _tone(self, begin: float, end: float) -> None:
        heard = self.heard
        if heard.first_at is None or heard.last_at is None:
            heard.first_at = begin
        elif begin - heard.last_at > _GAP_S and len(heard.gaps) < _MOST_GAPS:
            heard.gaps.append((heard.last_at, begin))
        heard.last_at = end


class Media:
    """A socket with its two threads, for the length of a `with`."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.late_s = 0.0  # by how much the sender was behind its clock, at most
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind(self.address)
        self._socket.settimeout(0.2)
        self._streams: dict[Address, Stream] = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._listen)]

    def open(self, stream: Stream) -> None:
        self._streams[stream.far] = stream

    def close(self, stream: Stream) -> Heard:
        """What was heard."""
        if self._streams.get(stream.far) is stream:
            del self._streams[stream.far]
        return stream.heard

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            for stream in tuple(self._streams.values()):
                self._socket.sendto(stream.packet(), stream.far)
            due += _TICK_S
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            else:
                self.late_s = max(self.late_s, -wait)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                packet, far = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            except ConnectionError:  # nobody listens at a far end any more
                continue
            stream = self._streams.get(far)
            if stream is not None:
                stream.take(packet, time.time())
