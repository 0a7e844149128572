"""Signatures of webhooks: Standard Webhooks 1.0.0, symmetric (`v1`, HMAC-SHA256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret(random: bytes) -> str:
    """`whsec_…` from random bytes, 24 to 64 of them."""
    if not 24 <= len(random) <= 64:
        raise ValueError("a secret has 24 to 64 bytes")
    return PREFIX + base64.b64encode(random).decode("ascii")


def secret_bytes(secret: str) -> bytes:
    """The key of a secret, with or without its prefix. Raises ValueError with the rule."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and 24 to 64 bytes in Base64")
    return key


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,…` over id, time of the attempt (Unix seconds) and body."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def headers(secrets: Iterable[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers; with two secrets, while one replaces the other, both signatures."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp_s, body) for secret in secrets),
    }
