"""What a decision is told besides the configuration: the call, and the figures as of now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dcx_ari.decide.caps import CounterKey
from dcx_ari.decide.rows import DuplicateAfter, Suppression

TurnKey = tuple[Literal["campaign", "group"], int, Literal["buyer", "group"], int]
"""Whose turn it is: within a campaign or a group, a buyer or a group. See `weights.smooth_order`."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The call. `caller` is E.164, or None where the caller is withheld or not a number.

    `campaign_id` overrides the number's campaign (a route node may name one). `tried` are the buyers that
    were already dialled for this call, `connections` how often it was already connected to a buyer.
    `zip_code` and `state` are what the caller keyed in and what a lookup said; `consents` the kinds of
    consent on record.
    `started_at` is epoch ms and decides the period in which the call counts. `holds_taken`: the call's own
    holds on source and campaign stand already (a later decision of the same call), so their caps are not
    asked again.
    """

    call_id: str
    number: str
    caller: str | None
    started_at: int
    campaign_id: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    tried: frozenset[int] = frozenset()
    connections: int = 0
    skills: frozenset[str] = frozenset()
    zip_code: str | None = None
    state: str | None = None
    consents: frozenset[str] = frozenset()
    holds_taken: bool = False
    is_test: bool = False


class PreviousCall(NamedTuple):
    """An earlier call of this caller, once per buyer that was dialled; test calls are not among them."""

    call_id: str
    campaign_id: int | None
    buyer_id: int | None
    at: int
    reached: DuplicateAfter


class Earnings(NamedTuple):
    """A buyer's attempts and revenue (cents) over the look-back of strategy `epc`."""

    attempts: int
    revenue_cents: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Figures as of now; what is absent is zero.

    `counters`: committed plus held, by ledger key; the last attempt of a buyer (epoch ms) is kept under
    `last_attempt_key`. `history`: earlier calls of this caller. `turns`: how many calls a candidate was
    given, for `smooth_wrr` and `round_robin`. `suppressions`: entries for this caller, besides those of the
    snapshot, so that a long list need not be in memory.
    """

    counters: Mapping[CounterKey, int] = field(default_factory=dict)
    history: tuple[PreviousCall, ...] = ()
    earnings: Mapping[int, Earnings] = field(default_factory=dict)
    turns: Mapping[TurnKey, int] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()


def last_attempt_key(buyer_id: int) -> CounterKey:
    """The counter whose value is the time of the buyer's last attempt."""
    return CounterKey("buyer", buyer_id, "attempt", "spacing", "last")
