"""What becomes of a call that another process began: from its row and from what Asterisk shows now.

The database is the truth about intent and money, Asterisk about who is connected. Two who talk go on talking; a
caller who waits for something gets it again; what belongs to nobody is put away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Stages at which the caller is with a buyer or on the way to one: the node that offers him is entered again.
TALKING = "talking"


@dataclass(frozen=True, slots=True)
class Live:
    """What Asterisk shows: the state of each channel (`Up`, `Ring`, `Ringing`, `Down`) and who is in each bridge."""

    channels: Mapping[str, str] = field(default_factory=dict)
    bridges: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What the row of an open call says. `talked` is the leg that its stage says the caller talks with."""

    caller: str
    stage: str
    node: str | None
    talked: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """Caller and `leg` are in `bridge`: let them talk. `release`, `clear`: other channels and bridges of the call.

    No bridge: the leg has hung up meanwhile, and the call goes on as it does when that is seen.
    """

    leg: str
    bridge: str | None
    release: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enter:
    """The caller is there: run the node again (None: the flow from its start), after putting away the rest."""

    node: str | None
    release: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The caller has gone: close the row, with the money of `talked`, the leg it was with. `node_lost`: not the
    caller hung up, the whole Asterisk ended."""

    talked: str | None
    node_lost: bool
    release: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hangup:
    """Channels and bridges of ours without an open row."""

    release: tuple[str, ...]
    clear: tuple[str, ...] = ()


Verdict = Talk | Enter | Finish | Hangup


def recover(call_id: str, row: Known | None, live: Live, *, restarted: bool) -> Verdict:
    """`live` may show other calls as well; `restarted`: Asterisk is another process than when the row was written."""
    channels = tuple(sorted(name for name in live.channels if _call(name) == call_id))
    bridges = tuple(sorted(name for name in live.bridges if _call(name) == call_id))
    if row is None:
        return Hangup(channels, bridges)
    if row.caller not in live.channels:
        return Finish(row.talked, restarted, channels, bridges)
    for bridge in bridges:
        members = live.bridges[bridge]
        for leg in channels:
            if row.caller in members and leg in members and live.channels[leg] == "Up" and row.stage in _JOINED:
                return Talk(leg, bridge, _but(channels, leg), _but(bridges, bridge))
    if row.talked is not None and row.talked not in live.channels:
        return Talk(row.talked, None, channels, bridges)
    return Enter(row.node, channels, bridges)


# The bridge is made before the stage is named, which comes with the next group commit: it is what counts. With early
# media caller and leg are in one as well, but then the leg is not up.
_JOINED = frozenset({TALKING, "ringing", "whispering"})


def _but(names: tuple[str, ...], kept: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != kept)


def _call(resource_id: str) -> str:
    return resource_id.partition(".")[0]
