"""What a traffic source is paid for a call: flat, a share of revenue, by talk time, or by hour of day.

Independent of the buyer's conversion: a payout has its own threshold and its own duplicate rule. Integer
cents; a share is rounded once, half a cent away from zero, and a correction is the difference of two rounded
totals, so that entries always add up to what the final revenue would have given at once.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from dcx_ari.decide.conversion import Stages
from dcx_ari.decide.duplicates import previous_call
from dcx_ari.decide.facts import PreviousCall
from dcx_ari.decide.hours import DAYS, minutes
from dcx_ari.decide.periods import local
from dcx_ari.decide.rows import Payout, PayoutHours


def payout_due_at(payout: Payout, stages: Stages) -> int | None:
    """When the threshold is (or will be) reached, epoch ms; None if it has not started or the call ended first."""
    start = stages.of(payout.timer_start)
    if start is None:
        return None
    at = start + payout.threshold_s * 1000
    return None if stages.ended is not None and stages.ended < at else at


def paid_before(
    payout: Payout, history: tuple[PreviousCall, ...], now: int, *, campaign_id: int | None, buyer_id: int | None
) -> PreviousCall | None:
    """The earlier call for which this one is a duplicate by the payout's own rule, whatever its action says."""
    if payout.duplicate is None:
        return None
    return previous_call(payout.duplicate, history, now, campaign_id=campaign_id, buyer_id=buyer_id)


def payout_cents(payout: Payout, *, talk_ms: int, revenue_cents: int, started_at: int, zone: ZoneInfo) -> int:
    """The amount for a call that passed the threshold.

    `talk_ms` is the time since the bridge, counted in whole seconds (tiers); `zone` the source's, for hours
    at the start of the call; `revenue_cents` all that the buyer pays for the call (share).
    """
    if payout.model == "share":
        return share_cents(revenue_cents, payout.share_bp)
    if payout.model == "tiers":
        reached = [t for t in payout.tiers if t.from_s <= talk_ms // 1000]
        return max(reached, key=lambda t: t.from_s).cents if reached else 0
    if payout.model == "hours":
        return next((h.cents for h in payout.hours if _within(h, started_at, zone)), payout.cents)
    return payout.cents


def share_cents(revenue_cents: int, share_bp: int) -> int:
    """`share_bp` basis points of an amount; half a cent is rounded away from zero."""
    sign = -1 if revenue_cents < 0 else 1
    return sign * ((abs(revenue_cents) * share_bp + 5_000) // 10_000)


def adjustment_cents(booked_cents: int, due_cents: int) -> int:
    """The entry that brings what is booked to what is due; 0 = no entry."""
    return due_cents - booked_cents


def _within(hours: PayoutHours, started_at: int, zone: ZoneInfo) -> bool:
    here = local(started_at, zone)
    minute, day = here.hour * 60 + here.minute, here.weekday()
    start, end = minutes(hours.start, "hours"), minutes(hours.end, "hours")
    if start < end:
        return start <= minute < end and _on(hours, day)
    return (minute >= start and _on(hours, day)) or (minute < end and _on(hours, day - 1))


def _on(hours: PayoutHours, day: int) -> bool:
    return not hours.days or DAYS[day % 7] in hours.days
