"""The sound of all calls of one process: a few sockets, one thread that sends, one that listens.

Threads and no event loop, because what is measured are packets that must leave every 20 ms, hundreds of times.
"""

from __future__ import annotations

import random
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from chaos.records import Heard
from chaos.sound import PACKET, PACKETS, Ear, packets

_TICK_S = 0.02
_GAP_S = 0.3  # a window of ten packets lasts 0.2 s; less than another half is jitter
_MOST_GAPS = 20
_SOCKETS = 16  # each has a buffer in the kernel of its own: who listens may be away for seconds
_BUFFER = 4 << 20
Address = tuple[str, int]


class Stream:
    """One phone's end of one talk: sends `hz` to `far`, listens for `far_hz`."""

    def __init__(self, socket: int, far: Address, hz: int, far_hz: int) -> None:
        self.socket = socket
        self.far = far
        self.heard = Heard()
        self._payloads = packets(hz)
        self._ear = Ear(far_hz)
        self._ssrc = random.getrandbits(32)
        self._sent = random.getrandbits(15)
        self._next_seq: int | None = None
        self._window: list[bytes] = []
        self._window_at = self._last_at = 0.0

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
        if self.heard.packets:
            self.heard.pause_s = max(self.heard.pause_s, at - self._last_at)
        self._last_at = at
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
    """Sockets with their two threads, for the length of a `with`. Calls share the sockets by their number."""

    def __init__(self, host: str, port: int) -> None:
        self.late_s = 0.0  # by how much the sender was behind its clock, at most
        self._addresses = [(host, port + 2 * number) for number in range(_SOCKETS)]
        self._sockets = [_socket(address) for address in self._addresses]
        self._streams: dict[Address, Stream] = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._listen)]

    def address(self, n: int) -> Address:
        """Where call `n` listens."""
        return self._addresses[n % _SOCKETS]

    def open(self, n: int, far: Address, hz: int, far_hz: int) -> Stream:
        stream = Stream(n % _SOCKETS, far, hz, far_hz)
        self._streams[far] = stream
        return stream

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
        for each in self._sockets:
            each.close()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            for stream in tuple(self._streams.values()):
                with suppress(OSError):  # a full buffer, or nobody there: what is not heard will be seen
                    self._sockets[stream.socket].sendto(stream.packet(), stream.far)
            due += _TICK_S
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            else:
                self.late_s = max(self.late_s, -wait)

    def _listen(self) -> None:
        with selectors.DefaultSelector() as ready:
            for each in self._sockets:
                ready.register(each, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in ready.select(0.2):
                    self._drain(key.fileobj)

    def _drain(self, readable: Any) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    packet, far = readable.recvfrom(2048)
                except ConnectionError:  # nobody listens at a far end any more
                    continue
                stream = self._streams.get(far)
                if stream is not None:
                    stream.take(packet, time.time())


def _socket(address: Address) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    made.bind(address)
    made.setblocking(False)
    return made
