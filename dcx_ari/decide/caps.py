"""Cap arithmetic: which counters a call touches, with how much, and when a limit is reached.

A counter is (scope, scope_id, metric, period, period_key); the period is that of the start of the call, in
the scope's own zone. A limit of None is unlimited, 0 is closed. The ledger takes all holds of a call or none,
under `used + held + amount <= limit` for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.periods import PERIODS, Period, period_keys, resets_at, zone_of
from dcx_ari.decide.rows import Buyer, Campaign, Group, Source

Scope = Literal["source", "campaign", "group", "buyer"]
Metric = Literal["attempt", "connect", "convert", "revenue_cents"]
SCOPES: tuple[Scope, ...] = ("source", "campaign", "group", "buyer")
METRICS: tuple[Metric, ...] = ("attempt", "connect", "convert", "revenue_cents")
CONVERSION: tuple[Metric, ...] = ("convert", "revenue_cents")  # what a sale changes, not the end of a leg
ALERT_PERCENTS = (75, 90, 100)


class CounterKey(NamedTuple):
    """One counter of the ledger."""

    scope: str
    scope_id: int
    metric: str
    period: str
    period_key: str


@dataclass(frozen=True, slots=True)
class Hold:
    """What one call wants of one counter: granted where `used + held + amount <= limit`.

    `amount` 0 is a guard: it takes nothing, and its `limit` is one less than the configured one, so that the
    same comparison refuses a counter that has reached it (`count_after` caps, calls without a price).
    """

    scope: Scope
    scope_id: int
    metric: Metric
    period: Period
    period_key: str
    amount: int
    limit: int | None

    @property
    def key(self) -> CounterKey:
        return CounterKey(self.scope, self.scope_id, self.metric, self.period, self.period_key)

    @property
    def lock_order(self) -> tuple[int, int, int, int, str]:
        """Every writer takes counters in this order, so that two never wait for each other."""
        return (
            SCOPES.index(self.scope),
            self.scope_id,
            METRICS.index(self.metric),
            PERIODS.index(self.period),
            self.period_key,
        )


@dataclass(frozen=True, slots=True)
class Cap:
    """A configured cap. `amount` is what one more call would take (0: only what is committed counts)."""

    name: str
    scope: Scope
    scope_id: int
    metric: Metric
    period: Period
    limit: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class MaxedBy:
    """A cap that is reached; `resets_at` None where no clock resets it."""

    cap: str
    used: int
    limit: int
    resets_at: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leg ended, for settling its holds."""

    answered: bool = False
    conversions: int = 0
    revenue_cents: int = 0


def max_price_cents(buyer: Buyer) -> int:
    """The most that one call can cost this buyer."""
    prices = [buyer.revenue_cents] if not buyer.conversion_rules else []
    for rule in buyer.conversion_rules:
        fixed = buyer.revenue_cents if rule.revenue_cents is None else rule.revenue_cents
        prices.append(max(fixed, rule.revenue_max_cents or 0))
    return max(prices)


def buyer_caps(buyer: Buyer) -> tuple[Cap, ...]:
    """All caps of a buyer in the order of checking, unlimited ones too; concurrency last."""
    strict = buyer.cap_mode == "strict"
    price = max_price_cents(buyer) if strict else 0
    one = 1 if strict else 0
    rows: tuple[tuple[str, Metric, Period, int | None, int], ...] = (
        ("cap.total", buyer.cap_metric, "total", buyer.total_cap, 1),
        ("cap.monthly", buyer.cap_metric, "month", buyer.monthly_cap, 1),
        ("cap.daily", buyer.cap_metric, "day", buyer.daily_cap, 1),
        ("cap.hourly", buyer.cap_metric, "hour", buyer.hourly_cap, 1),
        ("cap.converted_total", "convert", "total", buyer.converted_total_limit, one),
        ("cap.converted_monthly", "convert", "month", buyer.converted_monthly_limit, one),
        ("cap.converted_daily", "convert", "day", buyer.converted_daily_limit, one),
        ("cap.revenue_total", "revenue_cents", "total", buyer.revenue_cap_total_cents, price),
        ("cap.revenue_monthly", "revenue_cents", "month", buyer.revenue_cap_monthly_cents, price),
        ("cap.revenue_daily", "revenue_cents", "day", buyer.revenue_cap_daily_cents, price),
        ("concurrency", "attempt", "concurrent", buyer.concurrency_limit, 1),
    )
    return tuple(Cap(n, "buyer", buyer.id, m, p, limit, a) for n, m, p, limit, a in rows)


def group_caps(group: Group) -> tuple[Cap, ...]:
    """A group's caps count connects; a member's call counts on both (row 26)."""
    return _call_caps("group", group.id, group)


def campaign_caps(campaign: Campaign) -> tuple[Cap, ...]:
    return _call_caps("campaign", campaign.id, campaign)


def source_caps(source: Source) -> tuple[Cap, ...]:
    """A source's caps. With `auto_pause_on_cap` off the call caps only alert, they do not refuse."""
    enforced = source.auto_pause_on_cap
    return (
        Cap(
            "cap.monthly",
            "source",
            source.id,
            "connect",
            "month",
            source.monthly_call_cap if enforced else None,
            1,
        ),
        Cap(
            "cap.daily",
            "source",
            source.id,
            "connect",
            "day",
            source.daily_call_cap if enforced else None,
            1,
        ),
        Cap("concurrency", "source", source.id, "attempt", "concurrent", source.concurrency_limit, 1),
    )


def _call_caps(scope: Scope, scope_id: int, row: Group | Campaign) -> tuple[Cap, ...]:
    return (
        Cap("cap.total", scope, scope_id, "connect", "total", row.total_cap, 1),
        Cap("cap.monthly", scope, scope_id, "connect", "month", row.monthly_cap, 1),
        Cap("cap.daily", scope, scope_id, "connect", "day", row.daily_cap, 1),
        Cap("cap.hourly", scope, scope_id, "connect", "hour", row.hourly_cap, 1),
        Cap("concurrency", scope, scope_id, "attempt", "concurrent", row.concurrency_limit, 1),
    )


def caps_of(row: Buyer | Group | Campaign | Source) -> tuple[Cap, ...]:
    """The caps of any row that has some."""
    if isinstance(row, Buyer):
        return buyer_caps(row)
    if isinstance(row, Group):
        return group_caps(row)
    return campaign_caps(row) if isinstance(row, Campaign) else source_caps(row)


def holds_for(
    started_at: int,
    company_zone: str,
    *,
    buyer: Buyer | None = None,
    group: Group | None = None,
    source: Source | None = None,
    campaign: Campaign | None = None,
    unlimited: bool = False,
) -> tuple[Hold, ...]:
    """All holds of a call that started at `started_at`, in lock order.

    Pass every scope for a call's first leg; only buyer and group for a later leg of a call whose source and
    campaign holds stand. With `unlimited`, counters without a limit are counted too.
    """
    holds: list[Hold] = []
    for row in (source, campaign, group, buyer):
        if row is None:
            continue
        keys = period_keys(started_at, zone_of(row.timezone or company_zone))
        wanted = (cap for cap in caps_of(row) if unlimited or cap.limit is not None)
        holds.extend(_hold(cap, keys[cap.period]) for cap in wanted)
    return tuple(sorted(holds, key=lambda hold: hold.lock_order))


def split_counted(holds: Iterable[Hold], *, conversions: bool = False) -> tuple[tuple[Hold, ...], tuple[Hold, ...]]:
    """What a call holds while it lives, and what is only counted when its outcome is known.

    Held is what can refuse another call: whatever has a limit, and what is live now (`concurrent`). The rest is
    counted, so that a cap that is set at noon knows of the morning. With `conversions`, those are held as well, for a
    report that may come long after the call.
    """
    held: list[Hold] = []
    counted: list[Hold] = []
    for hold in holds:
        live = hold.limit is not None or hold.period == "concurrent" or (conversions and hold.metric in CONVERSION)
        (held if live else counted).append(hold)
    return tuple(held), tuple(counted)


def _hold(cap: Cap, period_key: str) -> Hold:
    limit = cap.limit
    if limit is not None and cap.amount == 0:
        limit -= 1
    return Hold(cap.scope, cap.scope_id, cap.metric, cap.period, period_key, cap.amount, limit)


def merged(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """One hold per counter, in lock order: the legs of one step share the holds of group and campaign."""
    best: dict[CounterKey, Hold] = {}
    for hold in holds:
        known = best.get(hold.key)
        if known is None or hold.amount > known.amount:
            best[hold.key] = hold
    return tuple(sorted(best.values(), key=lambda hold: hold.lock_order))


def committed(hold: Hold, outcome: Outcome) -> int:
    """What remains of a hold at the end of its leg; may exceed `amount` only for `count_after` caps."""
    if hold.period == "concurrent":
        return 0
    if hold.metric == "attempt":
        return 1
    if hold.metric == "connect":
        return 1 if outcome.answered else 0
    return outcome.conversions if hold.metric == "convert" else outcome.revenue_cents


def exceeds(used: int, cap: Cap) -> bool:
    """Whether one more call would pass the cap; `used` is committed plus held."""
    return cap.limit is not None and (used >= cap.limit or used + cap.amount > cap.limit)


def maxed_out(caps: Iterable[Cap], used: Mapping[CounterKey, int], at_ms: int, zone: ZoneInfo) -> tuple[MaxedBy, ...]:
    """Every reached cap (row 23); empty = not maxed out. A NULL limit is never reached, 0 always."""
    keys = period_keys(at_ms, zone)
    found = []
    for cap in caps:
        if cap.limit is None:
            continue
        n = used.get(CounterKey(cap.scope, cap.scope_id, cap.metric, cap.period, keys[cap.period]), 0)
        if n >= cap.limit:
            found.append(MaxedBy(cap.name, n, cap.limit, resets_at(cap.period, at_ms, zone)))
    return tuple(found)


def alerts(before: int, after: int, limit: int | None) -> tuple[int, ...]:
    """The percentages of `limit` that a change from `before` to `after` has crossed (each once a period)."""
    if not limit:
        return ()
    return tuple(p for p in ALERT_PERCENTS if before * 100 < p * limit <= after * 100)
