"""Deciding again from what was kept: the same inputs give the same Decision."""

from __future__ import annotations

import hashlib
import json

from dcx_ari.decide.decision import Decision
from dcx_ari.decide.record import facts_from_json, usage_from_json
from dcx_ari.decide.routing import route
from dcx_ari.decide.snapshot import build


def rerun(text: str, campaign: str | None = None) -> Decision:
    """Run the inputs kept in `Decision.to_json()` again.

    `campaign` is the text of the campaign's tables where it was kept apart. Raises ValueError where inputs are
    missing, or where the campaign's text is not the one of the digest.
    """
    data = json.loads(text)
    inputs, decided = data.get("inputs"), data["decision"]
    if inputs is None:
        raise ValueError("this Decision was kept without its inputs")
    digest = inputs.get("campaign_digest")
    if campaign is not None and hashlib.sha256(campaign.encode()).hexdigest() != digest:
        raise ValueError("the campaign's tables are not those of this Decision")
    shared = json.loads(campaign) if campaign is not None else inputs.get("campaign", {})
    if digest is not None and not shared:
        raise ValueError("this Decision was kept without the campaign's tables")
    tables = {**shared, **inputs["tables"]}
    snapshot = build(tables, version=decided["config_version"], company_zone=inputs["company_zone"])
    return route(
        facts_from_json(inputs["facts"]),
        snapshot,
        usage_from_json(inputs["usage"]),
        decided["now"],
        decided["seed"],
        explain_all=inputs["explain_all"],
    )
