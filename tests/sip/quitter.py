"""A caller who gives up within milliseconds: faster than any phone can."""

from __future__ import annotations

import asyncio


async def quit_after(port: int, sip_port: int, number: str, seconds: float, wait_s: float = 10.0) -> str:
    """INVITE from 127.0.0.1:`port`, CANCEL `seconds` after the first reply (RFC 3261, 9.1: not earlier); the status
    line of the final reply to the INVITE.
    """
    uri = f"sip:{number}@127.0.0.1"
    sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port + 1} RTP/AVP 0\r\n"
    replies: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Replies(replies), local_addr=("127.0.0.1", port), remote_addr=("127.0.0.1", sip_port)
    )

    def send(method: str, to_tag: str = "", body: str = "") -> None:
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKquit{port}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:+1212555{port % 10000:04d}@127.0.0.1>;tag=q{port}\r\n"
            f"To: <{uri}>{to_tag}\r\n"
            f"Call-ID: quit{port}\r\nCSeq: 1 {method}\r\nContact: <sip:me@127.0.0.1:{port}>\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        transport.sendto(text.encode())

    try:
        async with asyncio.timeout(wait_s):
            send("INVITE", body=sdp)
            await replies.get()
            await asyncio.sleep(seconds)
            send("CANCEL")
            while True:
                reply = await replies.get()
                if "CSeq: 1 INVITE" in reply and not reply.startswith("SIP/2.0 1"):
                    to = next(line for line in reply.splitlines() if line.startswith("To:"))
                    send("ACK", to.partition(">")[2])
                    return reply.splitlines()[0].removeprefix("SIP/2.0 ")
    finally:
        transport.close()


class _Replies(asyncio.DatagramProtocol):
    def __init__(self, queue: asyncio.Queue[str]) -> None:
        self._queue = queue

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self._queue.put_nowait(data.decode(errors="replace"))
