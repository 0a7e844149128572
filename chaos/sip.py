"""As much of SIP (RFC 3261) as a phone needs that talks to one Asterisk over UDP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Header = tuple[str, str]
_COPIED = ("via", "from", "to", "call-id", "cseq", "record-route")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response."""

    start: str
    headers: Sequence[Header] = field(default_factory=list)
    body: str = ""

    def header(self, name: str) -> str:
        """The first of this name; empty if there is none."""
        return next((value for each, value in self.headers if each.lower() == name), "")

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of the request, or of the one that is responded to."""
        return self.header("cseq").rpartition(" ")[2]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def branch(self) -> str:
        found = re.search(r"branch=([^;,\s]+)", self.header("via"))
        return found[1] if found else ""

    @property
    def contact(self) -> str:
        """The URI of the far end within a dialog."""
        found = re.search(r"<([^>]*)>", self.header("contact"))
        return found[1] if found else self.header("contact")

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, f"Content-Length: {len(self.body)}", "", self.body]).encode()


def parse(data: bytes) -> Message | None:
    """None for what is no SIP."""
    head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    if not start.startswith("SIP/2.0 ") and not start.endswith(" SIP/2.0"):
        return None
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.strip(), value.strip()))
    return Message(start, headers, body)


def user_of(uri: str) -> str:
    """
    >>> user_of('"A" <sip:+1512@127.0.0.1>;tag=1')
    '+1512'
    """
    found = re.search(r"sip:([^@>;]*)@", uri)
    return found[1] if found else ""


def response(request: Message, status: int, words: str, tag: str, more: Sequence[Header] = (), body: str = "") -> bytes:
    """`tag` is ours, put on To where there is none."""
    headers = [(name, value) for name, value in request.headers if name.lower() in _COPIED]
    headers = [
        (name, f"{value};tag={tag}" if name.lower() == "to" and "tag=" not in value else value)
        for name, value in headers
    ]
    if body:
        more = [*more, ("Content-Type", "application/sdp")]
    return Message(f"SIP/2.0 {status} {words}", [*headers, *more], body).encode()


def sdp(host: str, port: int) -> str:
    """µ-law, and nothing else."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
    )


def media_of(body: str) -> tuple[str, int] | None:
    """Where the far end wants its packets."""
    host = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host[1], int(port[1])) if host and port else None
