"""Causes become named results: the table that a real Asterisk 22 was seen to give (SIP status → cause)."""

from __future__ import annotations

import pytest

from dcx_ari.decide.causes import LegResult, caller_cause, leg_result

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("cause", "tech_cause", "alerted", "result"),
    [
        (17, 486, True, LegResult.BUSY),
        (19, 480, True, LegResult.NO_ANSWER),
        (19, 480, False, LegResult.UNREACHABLE),  # nobody ever replied
        (1, 404, False, LegResult.UNREACHABLE),
        (34, 503, False, LegResult.CONGESTION),
        (21, 603, True, LegResult.REJECTED),
        (21, 603, False, LegResult.REJECTED),
        (127, 500, False, LegResult.CONGESTION),
    ],
)
def test_result(cause: int, tech_cause: int, alerted: bool, result: LegResult) -> None:
    assert leg_result(cause=cause, tech_cause=tech_cause, alerted=alerted) is result


def test_an_unanswered_caller_is_told_the_same() -> None:
    assert caller_cause(LegResult.BUSY) == 17
    assert caller_cause(LegResult.UNREACHABLE) == 1
    assert caller_cause(None) == 16
