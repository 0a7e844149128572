"""What tells the messages of one installation from those of anybody else who can write to the same Redis."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from dcx_ari.bus import Payload

LARGEST = 1 << 20
"""Bytes of one message."""
_DIGEST = hashlib.sha256().digest_size


class Strange(Exception):
    """A message that none of ours has written."""


class Envelope(msgspec.Struct, frozen=True):
    """`sender`: the process that published it."""

    sender: str
    payload: dict[str, object]


class Seal:
    """Signs and opens with a secret that all workers of the installation know."""

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("a bus needs a secret")
        self._secret = secret

    @property
    def name(self) -> str:
        """Told to everybody; the secret cannot be had from it."""
        return self._of(b"name").hex()[:16]

    def close(self, topic: str, sender: str, payload: Payload) -> bytes:
        """Raises TypeError for what is not JSON."""
        body = msgspec.json.encode({"sender": sender, "payload": payload})
        return self._of(topic.encode() + b"\n" + body) + body

    def open(self, topic: str, data: bytes) -> Envelope:
        """Raises Strange; what is not signed is never parsed."""
        if not _DIGEST < len(data) <= LARGEST:
            raise Strange(f"{len(data)} bytes")
        digest, body = data[:_DIGEST], data[_DIGEST:]
        if not hmac.compare_digest(digest, self._of(topic.encode() + b"\n" + body)):
            raise Strange("not signed by a worker of this database")
        try:
            return msgspec.json.decode(body, type=Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Strange(str(error)) from None

    def _of(self, text: bytes) -> bytes:
        return hmac.digest(self._secret, b"dcx-bus\n" + text, hashlib.sha256)
