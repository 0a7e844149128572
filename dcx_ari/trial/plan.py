"""What is tried, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dcx_ari.decide.facts import Usage
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.document import Document
from dcx_ari.testing.far_end import Answers, Busy, Congestion, FarEnd, NoAnswer, Rejects, Unreachable

MADE_UP = "+18005550199"
"""The number that is dialled where none of ours leads to the flow."""
BEHAVIOURS = ("answers", "busy", "no_answer", "rejects", "unreachable", "congestion")
TALK_S = 60.0
SAYS = "say:"
"""Begins an entry of `digits` that is said and not pressed."""
_ANSWERS_AFTER_S = 4.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One call to make.

    `digits` are what the caller presses, prompt by prompt, or says ("say: sales"); "" and what is missing: nothing.
    `at` is epoch ms.
    `buyers` says how phones behave, by buyer name or destination; all others answer and talk for `talk_s` seconds.
    `answers` are what webhooks answer, by node; without one they fail. `snapshot` is the configuration and `usage` what
    is used of caps.
    """

    document: Document
    number: str
    snapshot: Snapshot
    at: int
    caller: str = "+12125550123"
    digits: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    buyers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    talk_s: float = TALK_S
    hang_up_after_s: float | None = None
    flow_id: int = 0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened `at_s` seconds after the call came in. `text` is for people, `data` for programs."""

    at_s: float
    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"at_s": round(self.at_s, 3), "kind": self.kind, "text": self.text, **self.data}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. `path` as call rows keep it (`main:1 sell:end`), `end` who or what ended it."""

    steps: tuple[Step, ...]
    path: str
    buyer: str | None
    end: str
    failure_reason: str | None
    tags: Mapping[str, str]
    seconds: float

    @property
    def said(self) -> list[str]:
        return [step.text for step in self.steps if step.kind in ("says", "plays")]

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path.split(),
            "buyer": self.buyer,
            "end": self.end,
            "failure_reason": self.failure_reason,
            "tags": dict(self.tags),
            "seconds": round(self.seconds, 3),
            "steps": [step.as_json() for step in self.steps],
        }


class BadPlan(ValueError):
    """Something cannot be tried as it was asked; the message says what."""


def script_of(behaviour: str, accept_digit: str | None, talk_s: float) -> FarEnd:
    """Raises BadPlan."""
    match behaviour:
        case "answers":
            presses = [(3.0, accept_digit)] if accept_digit else []
            return Answers(_ANSWERS_AFTER_S, hangs_up_after=talk_s + (4.0 if presses else 0.0), presses=presses)
        case "busy":
            return Busy()
        case "no_answer":
            return NoAnswer()
        case "rejects":
            return Rejects()
        case "unreachable":
            return Unreachable()
        case "congestion":
            return Congestion()
    raise BadPlan(f"{behaviour!r} is none of {', '.join(BEHAVIOURS)}")


def shortly(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
