"""Configuration rows as values: the field names of the tables, frozen, with the JSON columns typed.

Money is integer cents, `*_s` seconds, `*_at` epoch milliseconds. `None` in a limit means unlimited, 0 means
closed. Credentials (trunk passwords, API keys) never come here: a row may be stored inside a Decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ACTIVE", "INACTIVE", "ARCHIVED"]
EndpointType = Literal["PHONE_NUMBER", "SIP", "AGENT", "GROUP", "AI"]
Strategy = Literal["tier", "bid", "epc"]
Weighting = Literal["weighted_random", "smooth_wrr"]
GroupStrategy = Literal["priority", "weighted", "round_robin", "simultaneous"]
TimerStart = Literal["dial", "answer", "accept", "bridge"]
ConversionKind = Literal["duration", "digit", "postback", "disposition"]
DuplicateScope = Literal["campaign", "buyer", "buyer_group", "company"]
DuplicateAfter = Literal["attempted", "connected", "converted"]
DuplicateAction = Literal["skip_buyer", "route_but_unpaid", "block", "prefer_previous"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a tag of the call; all conditions of a row must be true (operators: `filters`)."""

    tag: str
    op: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """caller x `scope`, counted `after` a stage was reached, within `window_days` (None = forever)."""

    scope: DuplicateScope = "buyer"
    after: DuplicateAfter = "connected"
    window_days: int | None = None
    action: DuplicateAction = "skip_buyer"


@dataclass(frozen=True, slots=True)
class ConversionRule:
    """When a call to this buyer is worth money; the first rule that matches counts.

    `revenue_cents` None = the buyer's. A postback's own amount is kept within min and max.
    `hours` are wall clock spans ("09:00", "17:00") in the buyer's zone at call start, empty = always.
    `filters` are conditions on the call's tags.
    """

    kind: ConversionKind = "duration"
    threshold_s: int = 0
    timer_start: TimerStart = "bridge"
    digit: str | None = None
    disposition: str | None = None
    revenue_cents: int | None = None
    revenue_min_cents: int | None = None
    revenue_max_cents: int | None = None
    duplicate_window_days: int | None = None
    hours: tuple[tuple[str, str], ...] = ()
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class PayoutTier:
    """From `from_s` seconds of talk on, `cents` are paid."""

    from_s: int
    cents: int


@dataclass(frozen=True, slots=True)
class PayoutHours:
    """`cents` between two wall clock times (crossing midnight is fine); `days` empty = every day."""

    start: str
    end: str
    cents: int
    days: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Payout:
    """What we pay a traffic source for a call, with a threshold and a duplicate rule of its own.

    `share_bp` is in basis points of revenue (2500 = 25 %). `cents` is the flat price, and the price outside
    of all `hours`.
    """

    model: Literal["flat", "share", "tiers", "hours"] = "flat"
    cents: int = 0
    share_bp: int = 0
    tiers: tuple[PayoutTier, ...] = ()
    hours: tuple[PayoutHours, ...] = ()
    threshold_s: int = 0
    timer_start: TimerStart = "bridge"
    duplicate: DuplicateRule | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """Telephony price of a trunk for numbers that begin with `prefix` (digits, no plus)."""

    prefix: str
    cents_per_minute_x100: int = 0
    minimum_s: int = 0
    increment_s: int = 1
    setup_cents: int = 0


@dataclass(frozen=True, slots=True)
class Fallback:
    """What happens when nobody takes the call, for one failure reason or for any."""

    on: str = "any"
    kind: Literal["forward", "announcement", "voicemail", "hangup"] = "hangup"
    value: str = ""


@dataclass(frozen=True, slots=True)
class Trunk:
    id: int
    name: str = ""
    host: str = ""
    port: int = 5060
    transport: str = "udp"
    is_default: bool = False
    status: Status = "ACTIVE"
    rates: tuple[Rate, ...] = ()
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    id: int
    phone_number: str
    friendly_name: str = ""
    campaign_id: int | None = None
    traffic_source_id: int | None = None
    flow_id: int | None = None
    forward_to: str | None = None
    pass_caller_id: bool = True
    record: bool | None = None
    ring_timeout_s: int = 30
    status: Status = "ACTIVE"
    monthly_cost_cents: int = 0
    voicemail_greeting: str | None = None
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Campaign:
    id: int
    name: str = ""
    vertical: str = ""
    status: Status = "ACTIVE"
    strategy: Strategy = "tier"
    weighting: Weighting = "weighted_random"
    flow_id: int | None = None
    record: bool = True
    schedule_id: int | None = None
    timezone: str | None = None
    max_attempts: int = 10
    max_route_s: int = 120
    recover_below_s: int = 0
    recover_max: int = 5
    duplicate: DuplicateRule | None = None
    filters: tuple[Filter, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    ring_tone: Literal["ringback", "music", "early_media"] = "ringback"
    unknown_state: Literal["allow", "block"] = "allow"
    hourly_cap: int | None = None
    daily_cap: int | None = None
    monthly_cap: int | None = None
    total_cap: int | None = None
    concurrency_limit: int | None = None
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A traffic source."""

    id: int
    name: str = ""
    channel: str = ""
    supplier: str = ""
    status: Status = "ACTIVE"
    number_limit: int | None = None
    timezone: str | None = None
    daily_call_cap: int | None = None
    monthly_call_cap: int | None = None
    concurrency_limit: int | None = None
    auto_pause_on_cap: bool = True
    payout: Payout | None = None
    duplicate: DuplicateRule | None = None
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Buyer:
    id: int
    name: str = ""
    endpoint_type: EndpointType = "PHONE_NUMBER"
    endpoint_value: str = ""
    status: Status = "ACTIVE"
    tier: int = 0
    weight: int = 100
    revenue_cents: int = 0
    ring_timeout_s: int = 30
    whisper: str | None = None
    accept_digit: str | None = None
    accept_timeout_s: int = 10
    timezone: str | None = None
    trunk_id: int | None = None
    schedule_id: int | None = None
    skills: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    duplicate: DuplicateRule | None = None
    cap_metric: Literal["connect", "attempt"] = "connect"
    cap_mode: Literal["strict", "count_after"] = "strict"
    concurrency_limit: int | None = None
    hourly_cap: int | None = None
    daily_cap: int | None = None
    monthly_cap: int | None = None
    total_cap: int | None = None
    converted_daily_limit: int | None = None
    converted_monthly_limit: int | None = None
    converted_total_limit: int | None = None
    revenue_cap_daily_cents: int | None = None
    revenue_cap_monthly_cents: int | None = None
    revenue_cap_total_cents: int | None = None
    min_seconds_between: int | None = None
    conversion_rules: tuple[ConversionRule, ...] = ()
    hold_postback_s: int = 0
    accept_rerouted_max: int | None = None
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    name: str = ""
    routing_strategy: GroupStrategy = "priority"
    status: Status = "ACTIVE"
    hourly_cap: int | None = None
    daily_cap: int | None = None
    monthly_cap: int | None = None
    total_cap: int | None = None
    concurrency_limit: int | None = None
    timezone: str | None = None
    tier: int = 0
    weight: int = 100
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A buyer in a group."""

    id: int
    group_id: int
    buyer_id: int
    weight: int = 100
    priority: int = 0
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Attachment:
    """A buyer or a group (exactly one) attached to a campaign; tier and weight override the row's own."""

    id: int
    campaign_id: int
    buyer_id: int | None = None
    group_id: int | None = None
    tier: int | None = None
    weight: int | None = None
    status: Status = "ACTIVE"
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Opening hours as stored; `schedules.compile_schedule` makes them answer questions."""

    id: int
    name: str = ""
    timezone: str = "America/New_York"
    weekly: Mapping[str, Any] = field(default_factory=dict)
    holidays: Mapping[str, Any] | None = None
    exceptions: tuple[Mapping[str, Any], ...] = ()
    recurrence: tuple[Mapping[str, Any], ...] = ()
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class StateRule:
    id: int
    state_code: str
    buyer_id: int | None = None
    action: Literal["allow", "block", "require_consent"] = "allow"
    consent_type: Literal["verbal", "written", "none"] = "none"
    version: int = 1
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Suppression:
    """`buyer_id` None = for everybody."""

    id: int
    phone_number: str
    list_type: Literal["buyer_suppression", "global_suppression", "blacklist", "whitelist"] = "blacklist"
    buyer_id: int | None = None
    reason: str = ""
    expires_at: int | None = None
    version: int = 1
    updated_at: int = 0
