"""Links to recordings that are good for a quarter of an hour, signed with a secret of this home.

A link carries who asked for it, so that every play can be told from the audit log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcx_ari.services import audit
from dcx_ari.services.errors import Forbidden

LINK_S = 900
_FILE = "recordings.key"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: the recording, until when it is good (epoch s), and who asked for it."""

    recording_id: str
    expires: int
    actor_kind: str
    actor_id: str
    actor_name: str

    @property
    def actor(self) -> audit.Actor:
        kind: Any = self.actor_kind
        return audit.Actor(kind, self.actor_id or None, self.actor_name)


def secret_of(home: Path) -> bytes:
    """The secret of this home, made when it is first asked for. Whoever reads it can make links. Raises OSError."""
    path = home / _FILE
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = b""
    if len(found) == _SECRET_BYTES:
        return found
    home.mkdir(parents=True, exist_ok=True)
    made = home / f"{_FILE}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        if len(found) not in (0, _SECRET_BYTES):
            os.replace(made, path)  # damaged
        else:
            os.link(made, path)  # another process may have been quicker: then its secret counts
    except FileExistsError:
        pass
    finally:
        made.unlink(missing_ok=True)
    return path.read_bytes()


def sign(secret: bytes, link: Link) -> str:
    """The link's token: what it says and its signature, both fit for a URL."""
    said = [link.recording_id, link.expires, link.actor_kind, link.actor_id, link.actor_name]
    payload = _encoded(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())
    return f"{payload}.{_encoded(_signature(secret, payload))}"


def read_link(secret: bytes, token: str, recording_id: str, now_s: int) -> Link:
    """Raises Forbidden for a token that we did not sign, is of another recording, or too old."""
    payload, _, given = token.partition(".")
    good = _encoded(_signature(secret, payload))
    if not hmac.compare_digest(good.encode(), given.encode("utf-8", "replace")):
        raise Forbidden("token", "is not one that this exchange signed")
    link = Link(*json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    if link.recording_id != recording_id:
        raise Forbidden("token", "is for another recording")
    if link.expires <= now_s:
        raise Forbidden("token", "has expired: ask for a new link")
    return link


def _signature(secret: bytes, payload: str) -> bytes:
    return hmac.new(secret, b"dcx-recording\n" + payload.encode("utf-8", "replace"), hashlib.sha256).digest()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
