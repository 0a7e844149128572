"""What each call of a run does, from the seed alone: caller and buyer work it out for themselves."""

from __future__ import annotations

import random
from dataclasses import dataclass

AREA_CODES = ("512", "212", "305", "415", "602")
TONES = 150  # pairs
_FIRST_HZ = 300
_STEP_HZ = 10


@dataclass(frozen=True, slots=True)
class Script:
    """`abandon_s`: the caller gives up so long after dialling. Else they talk `talk_s`, and `buyer_ends` says who
    hangs up."""

    n: int
    talk_s: float
    answer_s: float
    buyer_ends: bool
    abandon_s: float | None


def script(seed: int, n: int, talk_s: float, abandon: float = 0.06) -> Script:
    """The `n`-th call of a run; talks last `talk_s` on the mean, from half to one and a half."""
    draw = random.Random(f"{seed}/{n}")
    return Script(
        n=n,
        talk_s=talk_s * (0.5 + draw.random()),
        answer_s=draw.uniform(0.05, 1.5),
        buyer_ends=draw.random() < 0.3,
        abandon_s=draw.uniform(0.1, 2.0) if draw.random() < abandon else None,
    )


def refuses(seed: int, n: int, buyer: int, attempt: int) -> bool:
    """Whether this buyer is busy when the call is offered for this time (from 0)."""
    return random.Random(f"{seed}/{n}/{buyer}/{attempt}").random() < 0.04


def caller_of(n: int) -> str:
    """The number that call `n` comes from; up to 50,000."""
    return f"+1{AREA_CODES[n % 5]}557{n // 5:04d}"


def call_of(number: str) -> int | None:
    """The call that comes from this number, None where it is nobody's.

    >>> call_of(caller_of(1234))
    1234
    """
    digits = number.lstrip("+")
    if len(digits) != 11 or not digits.isdigit() or digits[1:4] not in AREA_CODES or digits[4:7] != "557":
        return None
    return int(digits[7:]) * 5 + AREA_CODES.index(digits[1:4])


def caller_hz(n: int) -> int:
    """What the caller of call `n` sounds like. No other call of the same time sounds so."""
    return _FIRST_HZ + 2 * _STEP_HZ * (n % TONES)


def buyer_hz(n: int) -> int:
    """What whoever answers call `n` sounds like."""
    return caller_hz(n) + _STEP_HZ
