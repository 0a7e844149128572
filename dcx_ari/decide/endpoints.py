"""How a destination is dialled: which trunk, and what Asterisk calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dcx_ari.decide.rows import Trunk

SIP_ENDPOINT = "dcx-sip"
"""The PJSIP endpoint through which bare SIP URIs are dialled; it accepts no calls."""

_SIP_URI = re.compile(r"sips?:[A-Za-z0-9_.!~*'()&=+$,;?/%:-]+@?[A-Za-z0-9_.\[\]:-]+(;[A-Za-z0-9=;._-]+)?")
_NUMBER = re.compile(r"\+[0-9]{3,15}")


@dataclass(frozen=True, slots=True)
class Dialable:
    """`endpoint` as ARI wants it; `trunk_id` None for a SIP URI."""

    endpoint: str
    trunk_id: int | None


def trunk_endpoint(trunk_id: int) -> str:
    """The PJSIP name of a trunk."""
    return f"trunk-{trunk_id}"


def pick_trunk(trunks: Mapping[int, Trunk], trunk_id: int | None) -> Trunk | None:
    """The trunk asked for, else the default one, else the only one; never an inactive one."""
    if trunk_id is not None:
        named = trunks.get(trunk_id)
        return named if named is not None and named.status == "ACTIVE" else None
    active = [trunk for trunk in trunks.values() if trunk.status == "ACTIVE"]
    defaults = [trunk for trunk in active if trunk.is_default]
    if defaults:
        return min(defaults, key=lambda trunk: trunk.id)
    return active[0] if len(active) == 1 else None


def dialable(destination: str, trunks: Mapping[int, Trunk], trunk_id: int | None = None) -> Dialable | None:
    """How to dial an E.164 number or a `sip:` URI; None if it is neither, or no trunk serves it."""
    if _SIP_URI.fullmatch(destination):
        return Dialable(f"PJSIP/{SIP_ENDPOINT}/{destination}", None)
    if not _NUMBER.fullmatch(destination):
        return None
    trunk = pick_trunk(trunks, trunk_id)
    if trunk is None:
        return None
    return Dialable(f"PJSIP/{destination}@{trunk_endpoint(trunk.id)}", trunk.id)
