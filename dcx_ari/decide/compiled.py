"""Rows with everything a decision would otherwise work out again for each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.caps import Cap, CounterKey
from dcx_ari.decide.filters import CompiledFilter
from dcx_ari.decide.rows import Attachment, Buyer, Campaign, Group, Member, Source
from dcx_ari.decide.schedules import CompiledSchedule

if TYPE_CHECKING:
    from dcx_ari.decide.checks import Context


class Failure(NamedTuple):
    """Why a candidate is out: the name of the check, and the values it compared (JSON types only)."""

    reason: str
    values: dict[str, Any]


class CapLine(NamedTuple):
    """A cap as it is checked: out where the counter is above `threshold`."""

    scope: str
    scope_id: int
    metric: str
    period: str
    threshold: int
    cap: Cap


class KeyedCaps:
    """A buyer's caps with the ledger keys of the period asked about last (a memo: one period at a time)."""

    __slots__ = ("keys", "rows")

    def __init__(self) -> None:
        self.keys: Mapping[str, str] = {}
        self.rows: tuple[tuple[CounterKey, int, Cap], ...] = ()

    def fill(self, keys: Mapping[str, str], caps: tuple[CapLine, ...]) -> None:
        self.rows = tuple(
            (CounterKey(c.scope, c.scope_id, c.metric, c.period, keys[c.period]), c.threshold, c.cap) for c in caps
        )
        self.keys = keys


BuyerCheck = Callable[["CompiledBuyer", "Context"], Failure | None]


@dataclass(frozen=True, slots=True)
class CompiledBuyer:
    """`checks` are those that can fail for this buyer, in order; `own_checks` are the same without those
    that only some calls can fail (`Context.quiet`); `packed` is the row as JSON.
    """

    row: Buyer
    id: int
    zone: ZoneInfo
    schedule: CompiledSchedule | None
    filters: tuple[CompiledFilter, ...]
    caps: tuple[CapLine, ...]
    concurrency: CapLine | None
    peers: frozenset[int]
    fault: Failure | None
    endpoint_fault: Failure | None
    expected_cents: int
    checks: tuple[BuyerCheck, ...]
    own_checks: tuple[BuyerCheck, ...]
    packed: str
    keyed: KeyedCaps = field(default_factory=KeyedCaps, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CompiledGroup:
    """Members in order of id."""

    row: Group
    zone: ZoneInfo
    caps: tuple[CapLine, ...]
    fault: Failure | None
    members: tuple[tuple[Member, CompiledBuyer], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A buyer or a group attached to a campaign. A buyer whose endpoint is a group has both; `plain` means
    that it is neither a group nor switched off here.
    """

    attachment: Attachment
    kind: str
    id: int
    tier: int
    weight: int
    salt: int
    plain: bool
    buyer: CompiledBuyer | None
    group: CompiledGroup | None


@dataclass(frozen=True, slots=True)
class CompiledCampaign:
    row: Campaign
    zone: ZoneInfo
    schedule: CompiledSchedule | None
    filters: tuple[CompiledFilter, ...]
    caps: tuple[CapLine, ...]
    fault: Failure | None


@dataclass(frozen=True, slots=True)
class CompiledSource:
    row: Source
    zone: ZoneInfo
    caps: tuple[CapLine, ...]
    fault: Failure | None


def cap_lines(caps: tuple[Cap, ...]) -> tuple[CapLine, ...]:
    """The configured ones among `caps`."""
    return tuple(
        CapLine(c.scope, c.scope_id, c.metric, c.period, c.limit - max(1, c.amount), c)
        for c in caps
        if c.limit is not None
    )
