"""Callers divided by percentages, the same caller always to the same side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

WHOLE = 10_000
"""Points of a whole: a percentage has two decimals."""


def point_of(*sticky: str) -> int:
    """Where somebody stands, 0 to 9999: evenly spread, and the same for the same words everywhere.

    The words are the flow, the node and the caller: two tests divide the same callers independently.
    """
    digest = hashlib.sha256("\0".join(sticky).encode()).digest()
    return int.from_bytes(digest[:8], "big") % WHOLE


def side_of(point: int, shares: Iterable[tuple[str, float]]) -> str | None:
    """The name whose share (in percent, one after another from 0) holds the point; None beyond the last."""
    reached = 0
    for name, percent in shares:
        reached += round(percent * 100)
        if point < reached:
            return name
    return None
