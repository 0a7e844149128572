"""What a flow may name besides its own nodes, as far as it is known where the flow is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dcx_ari.flows.problems import Problem, did_you_mean

FACTS = frozenset({"caller", "number", "campaign", "source", "time", "date", "hour", "weekday", "consent"})
"""Variables of every call that a flow cannot set."""
CHANGING = frozenset({"state", "zip", "digits"})
"""Variables that a flow may set, too: `zip` (then the state follows it), `state`, and the digits chosen last."""


@dataclass(frozen=True, slots=True)
class Known:
    """Names that exist; None: not known here, so not checked. `speech` says why no text can be spoken; "" if it can.
    `hears` says why some words cannot be recognised when a caller says them; "" if they can.
    """

    schedules: frozenset[str] | None = None
    campaigns: frozenset[str] | None = None
    prompts: frozenset[str] | None = None
    sounds: frozenset[str] | None = None
    voices: frozenset[str] | None = None
    speech: str | None = None
    hears: Callable[[str], str] | None = None


def missing(what: str, name: str, known: Iterable[str] | None, path: tuple[str | int, ...]) -> Iterable[Problem]:
    """A problem if `name` is none of `known`."""
    if known is not None and name not in known:
        yield Problem(f"unknown_{what}", f'there is no {what} "{name}"', path, hint=did_you_mean(name, known))
