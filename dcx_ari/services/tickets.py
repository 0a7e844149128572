"""Tickets for WebSockets: a browser cannot send an Authorization header with one, and a key must not be in a URL.

A ticket is 256 random bits, works once, and for half a minute. They are kept in the process that gave them out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

VALID_S = 30
_MOST = 10_000


class Tickets:
    """One for each application. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def give(self, token: str) -> str:
        """A ticket that stands for this key or session."""
        self._forget()
        ticket = secrets.token_urlsafe(32)
        self._given[_hash(ticket)] = (self._clock() + VALID_S, token)
        return ticket

    def take(self, ticket: str) -> str | None:
        """What the ticket stands for, once; None for one that is used, too old, or none of ours."""
        self._forget()
        found = self._given.pop(_hash(ticket), None)
        return found[1] if found is not None else None

    def _forget(self) -> None:
        now = self._clock()
        while self._given:
            until, _ = next(iter(self._given.values()))
            if until > now and len(self._given) <= _MOST:
                return
            self._given.popitem(last=False)


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
