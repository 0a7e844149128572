"""One failure reason for a call that nobody took, and the three words that a person sees first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

FailureReason = Literal[
    "no_buyers_attached",
    "all_paused",
    "all_closed",
    "all_filtered",
    "all_suppressed",
    "all_duplicate",
    "all_maxed_out",
    "all_concurrency",
    "all_no_answer",
    "mixed",
    "caller_hung_up",
    "source_capped",
    "blocked",
    "no_number",
]
Word = Literal["no buyers available", "all maxed out", "caller hung up"]

_OF_CHECK: dict[str, FailureReason] = {
    "no_member": "no_buyers_attached",
    "paused": "all_paused",
    "misconfigured": "all_paused",
    "loop": "all_paused",
    "no_trunk": "all_paused",
    "closed": "all_closed",
    "state_blocked": "all_filtered",
    "consent_required": "all_filtered",
    "filter": "all_filtered",
    "skill": "all_filtered",
    "rerouted": "all_filtered",
    "weight_zero": "all_filtered",
    "suppressed": "all_suppressed",
    "duplicate": "all_duplicate",
    "already_tried": "all_no_answer",
    "spacing": "all_maxed_out",
    "concurrency": "all_concurrency",
    "reserve_lost": "all_maxed_out",
}
_OF_REFUSAL: dict[str, FailureReason] = {
    "no_number": "no_number",
    "no_campaign": "no_buyers_attached",
    "blocked": "blocked",
    "source_paused": "all_paused",
    "source_capped": "source_capped",
    "campaign_paused": "all_paused",
    "campaign_closed": "all_closed",
    "campaign_capped": "all_maxed_out",
    "campaign_concurrency": "all_concurrency",
    "filter": "all_filtered",
    "duplicate": "all_duplicate",
}


def of_check(check: str) -> FailureReason:
    """The class of a candidate's failed check, or of a dialled leg's result (busy, no_answer, ...)."""
    if check.startswith("cap."):
        return "all_maxed_out"
    return _OF_CHECK.get(check, "all_no_answer")


def of_refusal(refusal: str) -> FailureReason:
    return _OF_REFUSAL.get(refusal, "blocked")


def of_call(
    *,
    caller_hung_up: bool = False,
    refusal: str | None = None,
    checks: Iterable[str] = (),
    attempts: Iterable[str] = (),
) -> FailureReason:
    """The reason of a whole call.

    `checks`: the first failed check of every candidate that was never dialled. `attempts`: the results of all
    legs (`busy`, `no_answer`, `rejected`, `unreachable`, `congestion`, `not_accepted`, `reserve_lost`).
    Buyers that are paused count only where there is nobody else: they were not meant to take calls.
    """
    if caller_hung_up:
        return "caller_hung_up"
    if refusal is not None:
        return of_refusal(refusal)
    classes = {of_check(check) for check in (*checks, *attempts)}
    if not classes:
        return "no_buyers_attached"
    if len(classes) > 1:
        classes.discard("all_paused")
    return classes.pop() if len(classes) == 1 else "mixed"


def word(reason: FailureReason) -> Word:
    """The three groups of the source document."""
    if reason == "caller_hung_up":
        return "caller hung up"
    if reason in ("all_maxed_out", "all_concurrency", "source_capped"):
        return "all maxed out"
    return "no buyers available"
