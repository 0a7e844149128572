"""Tests without Asterisk and without waiting: a fake exchange and a loop in virtual time.

- `FakeAsterisk`: a `Transport` with scripted far ends that notes who heard what and when
- `run`, `VirtualLoop`: whole calls in milliseconds
"""

from dcx_ari.testing.client import Asked, FakeClient
from dcx_ari.testing.fake_ami import FakeAmi, Monitor
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.testing.far_end import (
    Answers,
    AnswersThenHangsUp,
    Busy,
    Congestion,
    FarEnd,
    NoAnswer,
    NoSuchNumber,
    Phone,
    Refuses,
    Rejects,
    Unreachable,
)
from dcx_ari.testing.inbound import stasis_args
from dcx_ari.testing.parties import Caller, Party
from dcx_ari.testing.virtual_time import Deadlock, VirtualClock, VirtualLoop, run, virtual_now

__all__ = [
    "Answers",
    "AnswersThenHangsUp",
    "Asked",
    "Busy",
    "Caller",
    "Congestion",
    "Deadlock",
    "FakeAmi",
    "FakeAsterisk",
    "FakeClient",
    "FarEnd",
    "Monitor",
    "NoAnswer",
    "NoSuchNumber",
    "Party",
    "Phone",
    "Refuses",
    "Rejects",
    "Unreachable",
    "VirtualClock",
    "VirtualLoop",
    "run",
    "stasis_args",
    "virtual_now",
]
