"""How long the audio of a call is kept.

A rule has days and exceptions: labels of a call (a tag, its outcome, `converted`, `disputed`) with days of their own or
`forever`. Of everything that matches, the longest wins; a legal hold beats all; without a rule nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

DAY_MS = 86_400_000
Forever = Literal["forever"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`days` from the end of the call; None: forever. Exceptions are by label, lower case."""

    id: int
    campaign_id: int | None = None
    days: int | None = None
    exceptions: Mapping[str, int | Forever] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """`until` is epoch ms, None: forever. `why` names the rule, and the label where an exception decided."""

    until: int | None
    why: str

    def over(self, now: int) -> bool:
        """Whether the time is up at `now` (epoch ms)."""
        return self.until is not None and self.until <= now


def rule_for(rules: Collection[Rule], campaign_id: int | None) -> Rule | None:
    """The campaign's own rule, else the one for all."""
    of_all = next((rule for rule in rules if rule.campaign_id is None), None)
    if campaign_id is None:
        return of_all
    return next((rule for rule in rules if rule.campaign_id == campaign_id), of_all)


def kept(rule: Rule | None, labels: Collection[str], ended_at: int, *, held: bool) -> Kept:
    """How long the audio of a call that ended at `ended_at` (epoch ms) is kept."""
    if held:
        return Kept(None, "legal hold")
    if rule is None:
        return Kept(None, "no rule")
    days, why = rule.days, f"rule {rule.id}"
    for label in sorted(set(rule.exceptions) & set(labels)):
        wanted = rule.exceptions[label]
        longer = None if wanted == "forever" else wanted
        if days is not None and (longer is None or longer > days):
            days, why = longer, f"rule {rule.id}, {label}"
    if days is None:
        return Kept(None, why)
    return Kept(ended_at + days * DAY_MS, f"{why}: {days} days")


def labels_of(tags: Collection[str], outcome: str | None, *, converted: bool) -> frozenset[str]:
    """What exceptions may name of a call."""
    found = {label(tag) for tag in tags}
    if outcome:
        found.add(label(outcome))
    if converted:
        found.add("converted")
    return frozenset(found)


def label(text: str) -> str:
    """One spelling: `Quality issue` is `quality-issue`."""
    return "-".join(text.strip().lower().replace("_", " ").replace("-", " ").split())
