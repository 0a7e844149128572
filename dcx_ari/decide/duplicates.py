"""Callers seen before: caller x scope, counted after a stage was reached, within a window (rule D0.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dcx_ari.decide.facts import PreviousCall
from dcx_ari.decide.rows import DuplicateRule

DAY_MS = 86_400_000
_REACHED = {"attempted": 0, "connected": 1, "converted": 2}


def previous_call(
    rule: DuplicateRule,
    history: Iterable[PreviousCall],
    now: int,
    *,
    campaign_id: int | None = None,
    buyer_id: int | None = None,
    peers: Collection[int] = (),
) -> PreviousCall | None:
    """The latest earlier call that makes this one a duplicate under the rule, or None.

    A window of N days is N x 24 hours before `now` (epoch ms). Scope `buyer` asks about `buyer_id`,
    `buyer_group` about any of `peers` (the buyers that share a group with it, itself included).
    """
    least = _REACHED[rule.after]
    since = None if rule.window_days is None else now - rule.window_days * DAY_MS
    found: PreviousCall | None = None
    for call in history:
        if _REACHED[call.reached] < least or (since is not None and call.at < since):
            continue
        if (found is None or call.at > found.at) and _in_scope(rule, call, campaign_id, buyer_id, peers):
            found = call
    return found


def _in_scope(
    rule: DuplicateRule,
    call: PreviousCall,
    campaign_id: int | None,
    buyer_id: int | None,
    peers: Collection[int],
) -> bool:
    if rule.scope == "company":
        return True
    if rule.scope == "campaign":
        return call.campaign_id is not None and call.campaign_id == campaign_id
    if rule.scope == "buyer_group":
        return call.buyer_id == buyer_id or call.buyer_id in peers
    return call.buyer_id is not None and call.buyer_id == buyer_id
