"""Tell whoever started us how we do, in the words of sd_notify(3): systemd, and our own supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def notify(*lines: str, environment: Mapping[str, str] | None = None) -> None:
    """Send it; without `NOTIFY_SOCKET`, or when nobody listens there, nothing happens."""
    path = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out, suppress(OSError):
        out.setblocking(False)
        out.sendto("\n".join(lines).encode(), address)
