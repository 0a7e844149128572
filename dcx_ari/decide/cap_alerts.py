"""When people are told that a cap fills up: at 75, 90 and 100 % of its limit, each once per period."""

from __future__ import annotations

from dcx_ari.decide.caps import CounterKey
from dcx_ari.decide.periods import Period

THRESHOLDS = (75, 90, 100)
_DAY_MS = 86_400_000
_REMEMBERED: dict[Period, int | None] = {
    "hour": 2 * _DAY_MS,
    "day": 40 * _DAY_MS,
    "month": 400 * _DAY_MS,
    "total": None,
}


def reached(used: int, limit: int) -> tuple[int, ...]:
    """The thresholds that `used` has come to, ascending. A limit of 0 is a closed door, not a cap that fills up."""
    return tuple(percent for percent in THRESHOLDS if limit > 0 and used * 100 >= percent * limit)


def claim_key(key: CounterKey, percent: int) -> str:
    """Names that this cap came to this threshold in this period: claimed once."""
    return f"cap/{key.scope}/{key.scope_id}/{key.metric}/{key.period}/{key.period_key}/{percent}"


def remembered_until(period: Period, now: int) -> int | None:
    """How long the claim is kept: longer than the period; epoch ms, None: for ever."""
    keep = _REMEMBERED.get(period, _DAY_MS)
    return None if keep is None else now + keep
