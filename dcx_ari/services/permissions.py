"""What a role may do. Names are `kind.read` and `kind.write` for each kind of row, and those of `FIXED`.

A role has patterns: a name, `campaigns.*` (all that begins so), `*.read` (all that ends so), `*` (everything).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from dcx_ari.services.errors import Invalid
from dcx_ari.services.resources import RESOURCES

SELF = "self"
"""Whatever concerns the asker alone: who am I, my password, the end of my session. Everybody has it."""

FIXED: Mapping[str, str] = {
    "calls.view": "See the call log.",
    "calls.explain": "Why a call went where it went: names every buyer and price.",
    "calls.edit": "Tags, notes, outcomes, callbacks; pause a recording.",
    "calls.place": "Place calls: test calls, retries.",
    "calls.recording.listen": "Hear and fetch recordings.",
    "reports.view": "Reports and dashboards.",
    "live.view": "Live calls and live figures.",
    "billing.view": "Caps and money.",
    "audit.view": "The audit log.",
    "settings.manage": "Keys, users, roles, webhooks, retention, notifications.",
}

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "admin": ("*",),
    "manager": (
        *("*.read", "*.write", "calls.*", "reports.view", "live.view"),
        *("billing.view", "audit.view"),
    ),
    "agent": (
        *("calls.view", "calls.edit", "calls.recording.listen", "live.view"),
        *("campaigns.read", "numbers.read", "schedules.read", "call_tags.read", "contacts.*", "callbacks.*"),
    ),
    "viewer": ("*.read", "calls.view", "calls.explain", "reports.view", "live.view", "billing.view"),
}
"""The roles that are always there."""

SCOPED = frozenset(
    {
        *("calls.view", "calls.recording.listen", "reports.view", "live.view", "billing.view"),
        *("buyers.read", "sources.read", "numbers.read", "campaigns.read"),
    }
)
"""The most that somebody may who is tied to one buyer or one traffic source, whatever the role says."""


def known() -> frozenset[str]:
    """Every permission that can be asked for, but `self`."""
    kinds = [name.replace("-", "_") for name in RESOURCES]
    return frozenset(FIXED) | {f"{kind}.{verb}" for kind in kinds for verb in ("read", "write")}


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool:
    """Whether a pattern covers a permission. `*.read` is about kinds of rows only, so `calls.*` is not in it."""
    if pattern == "*" or pattern == name:
        return True
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern.startswith("*.") and name.endswith(pattern[1:]) and name.count(".") == 1


def allows(patterns: Collection[str], name: str) -> bool:
    return name == SELF or any(matches(pattern, name) for pattern in patterns)


def covers(giver: Collection[str], wanted: Collection[str]) -> bool:
    """Whether somebody with `giver` may hand on `wanted`: nobody gives away what he does not have."""
    if "*" in giver:
        return True
    return "*" not in wanted and all(allows(giver, name) for name in known() if allows(wanted, name))


def check_patterns(patterns: Collection[str]) -> list[str]:
    """Patterns of a new role, each once and in order. Raises Invalid for one that names nothing."""
    names = known()
    for pattern in patterns:
        if not any(matches(pattern, name) for name in names):
            raise Invalid("permissions", f"{pattern!r} is no permission: see dcx roles permissions")
    if not patterns:
        raise Invalid("permissions", "must name at least one")
    return sorted(set(patterns))
