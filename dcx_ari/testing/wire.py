"""How requests and events look on the wire: refusals, parameters, timestamps, ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TRUE = frozenset({"true", "yes", "1", "on", "y", "t"})


class Refused(Exception):
    """A request that Asterisk answers with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Ask:
    """A request after routing: the path's variable parts, then query and JSON body as one mapping.

    Fields of a JSON body overwrite the query's, as in Asterisk.
    """

    ids: tuple[str, ...]
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.ids[0]

    def text(self, name: str, default: str = "") -> str:
        value = self.args.get(name)
        return default if value is None else str(value)

    def number(self, name: str, default: float = 0) -> float:
        text = self.text(name)
        try:
            return float(text) if text else default
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in TRUE

    def need(self, name: str, message: str) -> str:
        if value := self.text(name):
            return value
        raise Refused(400, message)

    def many(self, name: str) -> list[str]:
        value = self.args.get(name) or ""
        parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
        return [part for part in parts if part]


def timestamp(when: datetime) -> str:
    """`2026-11-20T23:35:45.887+0000`, as in every event."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}{when:%z}"
