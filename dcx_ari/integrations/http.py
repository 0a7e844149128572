"""One way out over HTTP for everything that somebody else names the address of.

`GuardedSession` asks `Targets` about every address that it is about to connect to, after the name was looked up and
for exactly the address used: a name that means something else a moment later (DNS rebinding) gains nothing.
Redirects are not followed, proxies of the environment not used, answers read up to a bound and never unpacked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from dcx_ari.store.targets import REFUSED, Targets, UnsafeUrl

__all__ = ["Answer", "GuardedSession", "NoAnswer", "Targets", "UnsafeUrl"]

TIMEOUT_S = 15.0
_CONNECT_S = 5.0
MAX_ANSWER = 64 * 1024
_USER_AGENT = "DCX-Webhooks/1.0"


class AddressRefused(OSError):
    """The name leads to an address that is not permitted."""


class NoAnswer(Exception):
    """The request was not answered; the text says why. `refused`: not even sent, its address is not permitted."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the answer's first `MAX_ANSWER` bytes; `took_ms` until it was there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took_ms: int

    @property
    def text(self) -> str:
        """The start of the body for a person: printable, 500 characters."""
        shown = self.body[:2000].decode("utf-8", "replace")[:500]
        return "".join(char if char.isprintable() or char == "\n" else "�" for char in shown)


class GuardedSession:
    """A client session; close it when done. Cookies are not kept."""

    def __init__(self, targets: Targets, *, limit: int = 64, timeout_s: float = TIMEOUT_S) -> None:
        self._targets = targets
        connector = aiohttp.TCPConnector(
            limit=limit, socket_factory=self._socket, ttl_dns_cache=10, enable_cleanup_closed=False
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_s, connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Called for each address that a connection is tried to."""
        family, kind, protocol, _, address = info
        if not self._targets.permits(str(address[0])):
            raise AddressRefused(REFUSED)
        return socket.socket(family=family, type=kind, proto=protocol)

    async def __aenter__(self) -> GuardedSession:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises NoAnswer. An answer of any status is an answer, 3xx too."""
        try:
            self._targets.check_url(url)
        except UnsafeUrl as error:
            raise NoAnswer(f"url: {error}", refused=True) from None
        began = time.monotonic()
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await _bounded(response)
                took_ms = round((time.monotonic() - began) * 1000)
                return Answer(response.status, response.headers, content, took_ms)
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused) or REFUSED in str(error.os_error):
                raise NoAnswer(f"url: {REFUSED}", refused=True) from None
            raise NoAnswer(f"cannot connect: {error.os_error.strerror or error.os_error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}"[:300]) from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """At most `MAX_ANSWER` bytes; what comes after is left, and the connection with it."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) >= MAX_ANSWER:
            response.close()
            break
    return bytes(content[:MAX_ANSWER])
