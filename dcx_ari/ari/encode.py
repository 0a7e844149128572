"""Typed arguments to a `Request`, an answer to a typed value: the hand-written part of `resources.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from dcx_ari.ari.errors import ServerFault
from dcx_ari.ari.transport import Request, Transport

T = TypeVar("T")
Argument = str | int | bool | Sequence[str] | None


def segment(value: str) -> str:
    """One percent-encoded path segment.

    An empty segment, "." and ".." would name another resource after path normalisation: ValueError.

    >>> segment("sub/call 1")
    'sub%2Fcall%201'
    """
    if value in ("", ".", ".."):
        raise ValueError(f"{value!r} cannot be part of an ARI path")
    return quote(value, safe="")


def argument(value: str | int | bool | Sequence[str]) -> str:
    """One query value. Asterisk splits lists at commas and knows no escape, so an element may hold none.

    >>> argument(True), argument(3), argument(["sound:a", "sound:b"])
    ('true', '3', 'sound:a,sound:b')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    for element in value:
        if "," in element:
            raise ValueError(f"{element!r}: an element of an ARI list cannot hold a comma")
    return ",".join(value)


class Resource:
    """A group of ARI operations over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Argument] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        order: str | Sequence[str] | None = None,
        blocking: bool = False,
    ) -> bytes:
        """Send; arguments and body members that are None are left out."""
        sent = {name: argument(value) for name, value in (query or {}).items() if value is not None}
        members = {name: value for name, value in (body or {}).items() if value is not None}
        key = argument(order) if order is not None else ""
        return await self._transport.request(Request(method, path, sent, members or None, blocking=blocking, order=key))


def read(decoder: msgspec.json.Decoder[T], answer: bytes) -> T:
    """The typed answer; one that does not fit the description is a `ServerFault`."""
    try:
        return decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise ServerFault(f"an answer of Asterisk does not fit its description: {error}") from None
