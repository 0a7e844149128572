"""A SIP device that refuses every call with a code of your choice (test phones can only say 486)."""

import asyncio
import re
from types import TracebackType
from typing import Self


class Refuser(asyncio.DatagramProtocol):
    """Answers each INVITE on `127.0.0.1:port` (UDP) with `code reason`; with code 0 it stays silent, like a
    host that is down.

    async with Refuser(21640, 503, "Service Unavailable") as carrier: call carrier.uri
    """

    def __init__(self, port: int, code: int, reason: str = "Refused") -> None:
        self.port = port
        self.code = code
        self.reason = reason
        self.calls = 0
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def uri(self) -> str:
        return f"sip:refuser@127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        """Answer an INVITE (again, if it is repeated); anything else (ACK, CANCEL) needs no answer here."""
        if not data.startswith(b"INVITE ") or self._transport is None:
            return
        self.calls += 1
        if self.code == 0:
            return
        text = data.decode(errors="replace")
        kept = re.findall(r"^(?:Via|v|From|f|Call-ID|i|CSeq):.*$", text, re.MULTILINE | re.IGNORECASE)
        to = re.search(r"^(?:To|t):.*$", text, re.MULTILINE | re.IGNORECASE)
        lines = [f"SIP/2.0 {self.code} {self.reason}", *(line.rstrip() for line in kept)]
        if to:
            lines.append(f"{to[0].rstrip()};tag=refuser")
        self._transport.sendto("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode(), addr)
