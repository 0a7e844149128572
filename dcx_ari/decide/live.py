"""What a call that is up is doing, in the three words that a live view has for it."""

from __future__ import annotations

from typing import Literal

LiveStatus = Literal["ringing", "in-progress", "on-hold"]
HELD = frozenset({"queued", "queue", "hold", "on_hold", "held", "callback_offer"})
"""Stages in which the caller waits for somebody."""


def live_status(stage: str, *, talking: bool, ringing: bool, answered: bool) -> LiveStatus:
    """`talking`: bridged with a buyer; `ringing`: a buyer's phone rings; `answered`: we have answered the caller.

    In a menu or a prompt the call is in progress; one that nobody has answered yet rings.
    """
    if talking:
        return "in-progress"
    if stage in HELD:
        return "on-hold"
    return "ringing" if ringing or not answered else "in-progress"
