"""When a message that was not delivered is tried again: the example schedule of Standard Webhooks 1.0.0."""

from __future__ import annotations

DELAYS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first failure, the second, …: all in all 75 hours and 35 minutes, then the message is dead."""
ATTEMPTS = len(DELAYS_S) + 1
JITTER = 0.2
LONGEST_S = 86_400


def next_delay_ms(attempts: int, draw: float, retry_after_s: float | None = None) -> int | None:
    """How long to wait after `attempts` tries that failed; None: do not try again.

    `draw` in [0, 1) lengthens the delay by up to a fifth, so that what failed together does not come back together.
    `retry_after_s` is what the receiver asked for: never come sooner than that, within a day.
    """
    if attempts >= ATTEMPTS:
        return None
    delay = DELAYS_S[max(attempts, 1) - 1] * (1 + JITTER * draw)
    return round(max(delay, min(retry_after_s or 0, LONGEST_S)) * 1000)


def retry_after(header: str | None) -> float | None:
    """Seconds of a `Retry-After` header; None where there is none, or a date (RFC 9110 §10.2.3 allows both)."""
    text = (header or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
