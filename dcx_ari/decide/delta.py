"""How much a figure has grown, in words: `+12%`, `-3%`, `new`."""

from __future__ import annotations


def delta(now: int, before: int) -> str | None:
    """The change in whole percent, truncated toward zero and always with a sign; None where nothing was before.

    >>> delta(45, 40), delta(150, 130), delta(5000, 4500)
    ('+12%', '+15%', '+11%')
    >>> delta(0, 40), delta(0, 0), delta(199, 200), delta(7, 0)
    ('-100%', '+0%', '+0%', None)
    """
    if before == 0:
        return "+0%" if now == 0 else None
    hundredths = abs(now - before) * 100 // abs(before)
    sign = "-" if now < before and hundredths else "+"
    return f"{sign}{hundredths}%"


def delta_text(now: int, before: int) -> str:
    """As `delta`, for people: `new` where nothing was before."""
    return delta(now, before) or "new"
