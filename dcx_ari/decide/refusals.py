"""What refuses a call before any buyer is looked at (rule D0.2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from dcx_ari.decide.checks import Context, cap_failure, closed_failure, duplicate_failure, filter_failure
from dcx_ari.decide.compiled import CapLine, CompiledCampaign, CompiledSource, Failure
from dcx_ari.decide.duplicates import previous_call
from dcx_ari.decide.filters import first_mismatch
from dcx_ari.decide.rows import Suppression


def live_entries(entries: Iterable[Suppression], now: int) -> tuple[Suppression, ...]:
    """Those that have not expired, in order of id."""
    live = (e for e in entries if e.expires_at is None or e.expires_at > now)
    return tuple(sorted(live, key=lambda e: e.id))


def suppressed_buyers(entries: Iterable[Suppression]) -> dict[int, Suppression]:
    """Entries that keep this caller from single buyers; a whitelist entry of a buyer lifts that buyer's."""
    allowed = {e.buyer_id for e in entries if e.list_type == "whitelist"}
    return {
        e.buyer_id: e
        for e in entries
        if e.buyer_id is not None and e.list_type != "whitelist" and e.buyer_id not in allowed
    }


def blocked(entries: Iterable[Suppression]) -> Failure | None:
    """Whitelist beats blacklist and global suppression."""
    for_all = [e for e in entries if e.buyer_id is None]
    if any(e.list_type == "whitelist" for e in for_all):
        return None
    for entry in for_all:
        return Failure(
            "blocked",
            {
                "entry_id": entry.id,
                "list_type": entry.list_type,
                "why": entry.reason,
                "expires_at": entry.expires_at,
            },
        )
    return None


def source_refusal(source: CompiledSource, x: Context) -> Failure | None:
    if source.fault is not None:
        return Failure("source_paused", source.fault.values)
    if source.row.status != "ACTIVE":
        return Failure("source_paused", {"source_id": source.row.id, "status": source.row.status})
    capped = _first_cap(source.caps, source.zone, x)
    return None if capped is None else Failure("source_capped", {"cap": capped.reason, **capped.values})


def campaign_refusal(campaign: CompiledCampaign, x: Context) -> Failure | None:
    row = campaign.row
    if campaign.fault is not None:
        return Failure("campaign_paused", campaign.fault.values)
    if row.status != "ACTIVE":
        return Failure("campaign_paused", {"campaign_id": row.id, "status": row.status})
    if campaign.schedule is not None and not campaign.schedule.is_open(x.now):
        return Failure("campaign_closed", closed_failure(campaign.schedule, x.now, row.schedule_id).values)
    mismatch = first_mismatch(campaign.filters, x.tags)
    if mismatch is not None:
        condition, actual = mismatch
        return filter_failure(condition.tag, condition.op, condition.value, actual)
    capped = _first_cap(campaign.caps, campaign.zone, x)
    if capped is None:
        return None
    name = "campaign_concurrency" if capped.reason == "concurrency" else "campaign_capped"
    return Failure(name, {"cap": capped.reason, **capped.values})


def duplicate_refusal(x: Context) -> Failure | None:
    """A rule of source or campaign with the action `block`."""
    for of, rule in x.call_duplicates:
        if rule.action != "block" or not x.history:
            continue
        before = previous_call(rule, x.history, x.now, campaign_id=x.campaign_id)
        if before is not None:
            return duplicate_failure(of, rule, before.call_id, before.at)
    return None


def _first_cap(lines: tuple[CapLine, ...], zone: ZoneInfo, x: Context) -> Failure | None:
    if x.facts.holds_taken:
        return None
    for line in lines:
        failure = cap_failure(line, zone, x)
        if failure is not None:
            return failure
    return None
