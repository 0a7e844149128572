"""Candidates of a campaign, compiled once per configuration so that a decision only compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Clocks:
    """Compiled schedules by id."""

    schedules: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What `route` walks for one campaign."""

    campaign_id: int


def compile_plans(
    read: Mapping[str, Mapping[int, Any]],
    company_zone: str,
    old_clocks: Clocks | None,
    old_plans: Mapping[int, CampaignPlan] | None,
) -> tuple[Clocks, dict[int, CampaignPlan]]:
    """Plans for every campaign, taking over what did not change."""
    return Clocks(), {c: CampaignPlan(c) for c in read["campaigns"]}
