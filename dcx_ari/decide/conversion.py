"""When a call is sold and for how much (rule D0.4).

The rules of a buyer are asked in order and the first that applies decides. A duration is reached while people
still talk: `due_at` says when, so that the flow can arm a timer for that instant. Threshold 0 on `dial` is
sold as soon as the buyer is dialled. A buyer with a price but without rules pays for every bridged call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dcx_ari.decide.duplicates import DAY_MS
from dcx_ari.decide.facts import PreviousCall
from dcx_ari.decide.filters import compile_filter, first_mismatch
from dcx_ari.decide.hours import covers, parse_spans
from dcx_ari.decide.periods import local
from dcx_ari.decide.rows import Buyer, ConversionRule, TimerStart


@dataclass(frozen=True, slots=True)
class Stages:
    """When the leg to the buyer reached each stage (epoch ms, None = not yet), and when it ended."""

    dial: int | None = None
    answer: int | None = None
    accept: int | None = None
    bridge: int | None = None
    ended: int | None = None

    def of(self, start: TimerStart) -> int | None:
        """Without an accept digit, `accept` is the bridge."""
        if start == "accept" and self.accept is None:
            return self.bridge
        value: int | None = getattr(self, start)
        return value


@dataclass(frozen=True, slots=True)
class Heard:
    """What else speaks for a conversion: digits the buyer pressed, the disposition, a postback's amount."""

    digits: frozenset[str] = frozenset()
    disposition: str | None = None
    postback: bool = False
    postback_cents: int | None = None


class Conversion(NamedTuple):
    """Sold at `at` (epoch ms) for `revenue_cents` by the rule with this index (-1 = the implied one)."""

    at: int
    revenue_cents: int
    rule: int


class Due(NamedTuple):
    """A threshold that will be reached at `at` if the call goes on."""

    at: int
    revenue_cents: int
    rule: int


_IMPLIED = ConversionRule(kind="duration", threshold_s=0, timer_start="bridge")


def rules_of(buyer: Buyer) -> tuple[tuple[int, ConversionRule], ...]:
    """The rules with their indexes; the implied one (-1) for a buyer with a price and no rules."""
    if buyer.conversion_rules:
        return tuple(enumerate(buyer.conversion_rules))
    return ((-1, _IMPLIED),) if buyer.revenue_cents else ()


def expected_cents(buyer: Buyer) -> int:
    """What strategy `bid` compares: the price of the first rule."""
    for _, rule in rules_of(buyer):
        return price_cents(rule, buyer, None)
    return 0


def price_cents(rule: ConversionRule, buyer: Buyer, postback_cents: int | None) -> int:
    """The rule's price, else the buyer's; a postback's amount counts within the rule's min and max."""
    amount = buyer.revenue_cents if rule.revenue_cents is None else rule.revenue_cents
    if postback_cents is not None and rule.kind == "postback":
        amount = postback_cents
    if rule.revenue_min_cents is not None:
        amount = max(amount, rule.revenue_min_cents)
    return amount if rule.revenue_max_cents is None else min(amount, rule.revenue_max_cents)


def applicable(
    buyer: Buyer,
    *,
    started_at: int,
    zone: ZoneInfo,
    tags: Mapping[str, Any],
    history: tuple[PreviousCall, ...] = (),
) -> tuple[tuple[int, ConversionRule], ...]:
    """The buyer's rules that hold for this call: hours (at call start), tags and duplicate window."""
    return tuple(
        (i, rule)
        for i, rule in rules_of(buyer)
        if _in_hours(rule, started_at, zone)
        and first_mismatch([compile_filter(f) for f in rule.filters], tags) is None
        and not _sold_before(rule, buyer, started_at, history)
    )


def conversion_due(
    rules: tuple[tuple[int, ConversionRule], ...], buyer: Buyer, stages: Stages, heard: Heard, now: int
) -> Conversion | Due | None:
    """What the leg has earned at `now`, else the next threshold that it can reach, else None.

    The first rule in order that is fulfilled wins; call again whenever a stage, digit or postback comes in,
    and at the time that a `Due` names. A leg that ended (`stages.ended`) reaches no further threshold.
    """
    for i, rule in rules:
        at = _fulfilled_at(rule, stages, heard, now)
        if at is not None:
            return Conversion(at, price_cents(rule, buyer, heard.postback_cents), i)
    if stages.ended is not None:
        return None
    coming = [
        Due(at, price_cents(rule, buyer, None), i)
        for i, rule in rules
        if rule.kind == "duration" and (at := _threshold_at(rule, stages)) is not None
    ]
    return min(coming, default=None)


def _threshold_at(rule: ConversionRule, stages: Stages) -> int | None:
    start = stages.of(rule.timer_start)
    return None if start is None else start + rule.threshold_s * 1000


def _fulfilled_at(rule: ConversionRule, stages: Stages, heard: Heard, now: int) -> int | None:
    until = now if stages.ended is None else min(now, stages.ended)
    reached = _threshold_at(rule, stages)
    if rule.kind == "duration":
        return reached if reached is not None and reached <= until else None
    if rule.kind == "digit":
        said = rule.digit is not None and rule.digit in heard.digits
    elif rule.kind == "disposition":
        said = heard.disposition is not None and heard.disposition == rule.disposition
    else:
        return now if heard.postback else None
    if rule.threshold_s and (reached is None or reached > until):
        return None
    return now if said else None


def _in_hours(rule: ConversionRule, started_at: int, zone: ZoneInfo) -> bool:
    if not rule.hours:
        return True
    here = local(started_at, zone)
    minute, spans = here.hour * 60 + here.minute, parse_spans(rule.hours, "hours")
    return covers(spans, minute) or covers(spans, minute + 1440)


def _sold_before(rule: ConversionRule, buyer: Buyer, started_at: int, history: tuple[PreviousCall, ...]) -> bool:
    days = rule.duplicate_window_days
    if days is None:
        return False
    since = started_at - days * DAY_MS
    return any(c.buyer_id == buyer.id and c.reached == "converted" and c.at >= since for c in history)
