"""SIP that no phone would send: one INVITE as bytes, and the status lines that came back."""

from __future__ import annotations

import asyncio
import itertools

_numbers = itertools.count(1)


async def invite(
    switch: str,
    port: int,
    uri: str,
    *,
    from_: str = "<sip:+15551230001@127.0.0.1>",
    headers: str = "",
    call_id: str = "",
    wait_s: float = 2.0,
    until: int = 180,
) -> list[str]:
    """Send an INVITE from 127.0.0.1:`port`; the replies until one with a status of `until` or more."""
    number = next(_numbers)
    sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port + 1} RTP/AVP 0\r\n"
    text = (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKraw{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: {from_};tag=raw{number}\r\nTo: <{uri}>\r\n"
        f"Call-ID: {call_id or f'raw{number}'}\r\nCSeq: 1 INVITE\r\nContact: <sip:me@127.0.0.1:{port}>\r\n"
        f"{headers}Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
    )
    replies: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Replies(replies), local_addr=("127.0.0.1", port))
    host, _, sip_port = switch.partition(":")
    heard: list[str] = []
    try:
        transport.sendto(text.encode("latin-1"), (host, int(sip_port)))
        async with asyncio.timeout(wait_s):
            while True:
                reply = await replies.get()
                if f"raw{number}".encode() not in reply:
                    continue
                heard.append(reply.split(b"\r\n", 1)[0].decode().removeprefix("SIP/2.0 "))
                if int(heard[-1][:3]) >= until:
                    return heard
    except TimeoutError:
        return heard
    finally:
        transport.close()
        await asyncio.sleep(0)  # closed by the loop's next turn; the next call wants the port


class _Replies(asyncio.DatagramProtocol):
    def __init__(self, queue: asyncio.Queue[bytes]) -> None:
        self._queue = queue

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self._queue.put_nowait(data)
