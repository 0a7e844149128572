"""A campaign's candidates, and everything else that was compiled from one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dcx_ari.decide.compiled import (
    Candidate,
    CompiledBuyer,
    CompiledCampaign,
    CompiledGroup,
    CompiledSource,
    Failure,
)
from dcx_ari.decide.rows import Member, Schedule, Trunk
from dcx_ari.decide.schedules import CompiledSchedule


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """A campaign with its candidates in order of attachment id, and everybody who could be dialled for it.

    `loops` are buyers' endpoints that are our own numbers, `asks_for_peers` that some buyer's duplicate rule
    looks at the groups it is in.
    """

    campaign: CompiledCampaign
    candidates: tuple[Candidate, ...]
    buyers: Mapping[int, CompiledBuyer]
    loops: tuple[str, ...]
    asks_for_peers: bool


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything compiled, by id, and what it depended on."""

    schedules: Mapping[int, tuple[Schedule, CompiledSchedule | Failure]] = field(default_factory=dict)
    buyers: Mapping[int, CompiledBuyer] = field(default_factory=dict)
    groups: Mapping[int, CompiledGroup] = field(default_factory=dict)
    campaigns: Mapping[int, CompiledCampaign] = field(default_factory=dict)
    sources: Mapping[int, CompiledSource] = field(default_factory=dict)
    candidates: Mapping[int, Candidate] = field(default_factory=dict)
    plans: Mapping[int, CampaignPlan] = field(default_factory=dict)
    company_zone: str = ""
    trunks: Mapping[int, Trunk] = field(default_factory=dict)
    phones: frozenset[str] = frozenset()
    peers: Mapping[int, frozenset[int]] = field(default_factory=dict)
    member_rows: Mapping[int, Member] = field(default_factory=dict)


def plans_of(campaigns: Mapping[int, CompiledCampaign], candidates: Iterable[Candidate]) -> dict[int, CampaignPlan]:
    """A plan for every campaign, one without candidates too."""
    by_campaign: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_campaign.setdefault(candidate.attachment.campaign_id, []).append(candidate)
    return {
        campaign_id: _plan(campaign, by_campaign.get(campaign_id, [])) for campaign_id, campaign in campaigns.items()
    }


def _plan(campaign: CompiledCampaign, found: list[Candidate]) -> CampaignPlan:
    candidates = tuple(sorted(found, key=lambda c: c.attachment.id))
    buyers: dict[int, CompiledBuyer] = {}
    for candidate in candidates:
        if candidate.buyer is not None:
            buyers[candidate.buyer.id] = candidate.buyer
        if candidate.group is not None:
            buyers.update((b.id, b) for _, b in candidate.group.members)
    rules = (b.row.duplicate for b in buyers.values())
    return CampaignPlan(
        campaign,
        candidates,
        buyers,
        tuple(b.row.endpoint_value for b in buyers.values() if b.endpoint_fault is not None),
        any(rule is not None and rule.scope == "buyer_group" for rule in rules),
    )
