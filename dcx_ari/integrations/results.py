"""What became of one attempt to deliver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`ok`: the receiver has it. `final`: trying again is of no use. `disable`: why the endpoint is to be switched off.

    `waiting`: nothing was tried, for want of what the text in `error` names; it does not count as an attempt.
    `recipients` (e-mail): what became of each address.
    """

    ok: bool
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    took_ms: int = 0
    retry_after_s: float | None = None
    final: bool = False
    waiting: bool = False
    disable: str | None = None
    recipients: Mapping[str, str] | None = None
