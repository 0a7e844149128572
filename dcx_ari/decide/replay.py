"""Deciding again from what was kept: the same inputs give the same Decision."""

from __future__ import annotations

import json

from dcx_ari.decide.decision import Decision
from dcx_ari.decide.record import facts_from_json, usage_from_json
from dcx_ari.decide.routing import route
from dcx_ari.decide.snapshot import build


def rerun(text: str) -> Decision:
    """Run the inputs kept in `Decision.to_json()` again. Raises ValueError where none were kept."""
    data = json.loads(text)
    inputs = data.get("inputs")
    if inputs is None:
        raise ValueError("this Decision was kept without its inputs")
    decided = data["decision"]
    snapshot = build(inputs["tables"], version=decided["config_version"], company_zone=inputs["company_zone"])
    return route(
        facts_from_json(inputs["facts"]),
        snapshot,
        usage_from_json(inputs["usage"]),
        decided["now"],
        decided["seed"],
        explain_all=inputs["explain_all"],
    )
