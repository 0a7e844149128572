"""Why a leg failed, in the field's words, and which Q.850 cause tells a caller the same.

Q.850 causes and SIP statuses are as Asterisk's PJSIP channel driver maps them (hangup_sip2cause).
"""

from __future__ import annotations

from enum import StrEnum


class LegResult(StrEnum):
    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    CONGESTION = "congestion"
    CANCELLED = "cancelled"  # by us: the caller went, or another leg won
    NOT_ACCEPTED = "not_accepted"  # answered, but the accept digit was not pressed


class Cause:
    """Q.850 causes we send."""

    UNALLOCATED = 1
    NORMAL = 16
    BUSY = 17
    NO_ANSWER = 19
    REJECTED = 21
    ANSWERED_ELSEWHERE = 26
    CONGESTION = 34


_BY_CAUSE = {
    1: LegResult.UNREACHABLE,
    2: LegResult.UNREACHABLE,
    3: LegResult.UNREACHABLE,
    17: LegResult.BUSY,
    18: LegResult.NO_ANSWER,
    19: LegResult.NO_ANSWER,
    20: LegResult.UNREACHABLE,
    21: LegResult.REJECTED,
    22: LegResult.UNREACHABLE,
    27: LegResult.UNREACHABLE,
    28: LegResult.UNREACHABLE,
    34: LegResult.CONGESTION,
    38: LegResult.UNREACHABLE,
    41: LegResult.CONGESTION,
    42: LegResult.CONGESTION,
    44: LegResult.CONGESTION,
}

_CALLER_CAUSE = {
    LegResult.BUSY: Cause.BUSY,
    LegResult.NO_ANSWER: Cause.NO_ANSWER,
    LegResult.REJECTED: Cause.REJECTED,
    LegResult.UNREACHABLE: Cause.UNALLOCATED,
    LegResult.CONGESTION: Cause.CONGESTION,
}


def leg_result(*, cause: int, tech_cause: int | None, alerted: bool) -> LegResult:
    """The result of a leg that ended unanswered.

    `alerted`: the far end rang or sent early media. Asterisk reports a far end that never replied as
    19/480, exactly as one that rang out; only the ringing tells them apart.
    """
    if tech_cause == 603:
        return LegResult.REJECTED
    result = _BY_CAUSE.get(cause, LegResult.CONGESTION)
    if result is LegResult.NO_ANSWER and not alerted and tech_cause in (None, 408, 480):
        return LegResult.UNREACHABLE
    return result


def caller_cause(result: LegResult | None) -> int:
    """The cause with which an unanswered caller is released when no leg was connected."""
    return Cause.NORMAL if result is None else _CALLER_CAUSE.get(result, Cause.NORMAL)
