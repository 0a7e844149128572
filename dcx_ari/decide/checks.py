"""The checks of a candidate, in the fixed order of rule D0.2.4, each with the values it compared.

    paused, misconfigured / loop / no_trunk, closed, state_blocked, consent_required, suppressed, filter,
    duplicate, already_tried, rerouted, skill, cap.total, cap.monthly, cap.daily, cap.hourly,
    cap.converted_*, cap.revenue_*, spacing, concurrency

`misconfigured`, `loop` and `no_trunk` are faults of the configuration that validation should have refused;
`rerouted` is the buyer's `accept_rerouted_max`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo

from dcx_ari.decide.caps import Cap
from dcx_ari.decide.compiled import BuyerCheck, CapLine, CompiledBuyer, Failure
from dcx_ari.decide.duplicates import previous_call
from dcx_ari.decide.facts import CallFacts, PreviousCall, Usage, last_attempt_key
from dcx_ari.decide.periods import Period, period_keys, resets_at
from dcx_ari.decide.rows import Buyer, DuplicateRule, StateRule, Suppression
from dcx_ari.decide.schedules import CompiledSchedule


class Context:
    """One decision's view: facts and figures, and what was worked out once for all candidates."""

    __slots__ = (
        "_keys",
        "_resets",
        "call_duplicates",
        "campaign_id",
        "counters",
        "facts",
        "history",
        "now",
        "quiet",
        "state",
        "state_rule",
        "state_rules",
        "suppressed",
        "tags",
        "unknown_blocked",
    )

    def __init__(self, facts: CallFacts, usage: Usage, now: int, tags: Mapping[str, Any]) -> None:
        self.facts = facts
        self.counters = cast("Mapping[tuple[str, int, str, str, str], int]", usage.counters)
        self.history = usage.history
        self.now = now
        self.tags = tags
        self.campaign_id: int | None = None
        self.call_duplicates: tuple[tuple[str, DuplicateRule], ...] = ()
        self.quiet = False
        self.state: str | None = None
        self.unknown_blocked = False
        self.state_rule: StateRule | None = None
        self.state_rules: dict[int, StateRule] = {}
        self.suppressed: Mapping[int, Suppression] = {}
        self._keys: dict[ZoneInfo, Mapping[str, str]] = {}
        self._resets: dict[tuple[ZoneInfo, str], int | None] = {}

    def keys(self, zone: ZoneInfo) -> Mapping[str, str]:
        """Period keys of the start of the call in a zone."""
        try:
            return self._keys[zone]
        except KeyError:
            found = self._keys[zone] = cast("Mapping[str, str]", period_keys(self.facts.started_at, zone))
            return found

    def resets_at(self, period: Period, zone: ZoneInfo) -> int | None:
        """When the period of the start of the call ends in a zone."""
        key = (zone, period)
        if key not in self._resets:
            self._resets[key] = resets_at(period, self.facts.started_at, zone)
        return self._resets[key]


def first_failure(buyer: CompiledBuyer, x: Context) -> Failure | None:
    for check in buyer.own_checks if x.quiet else buyer.checks:
        failure = check(buyer, x)
        if failure is not None:
            return failure
    return None


def all_failures(buyer: CompiledBuyer, x: Context) -> list[Failure]:
    """Every check that fails, and every cap, for `explain_all`."""
    found: list[Failure] = []
    for check in buyer.checks:
        if check is caps:
            found.extend(f for line in buyer.caps if (f := cap_failure(line, buyer.zone, x)) is not None)
        elif (failure := check(buyer, x)) is not None:
            found.append(failure)
    return found


def paused(buyer: CompiledBuyer, x: Context) -> Failure | None:
    return Failure("paused", {"of": "buyer", "status": buyer.row.status})


def misconfigured(buyer: CompiledBuyer, x: Context) -> Failure | None:
    return buyer.fault or buyer.endpoint_fault


def closed(buyer: CompiledBuyer, x: Context) -> Failure | None:
    schedule = buyer.schedule
    if schedule is None or schedule.piece_at(x.now).open:
        return None
    return closed_failure(schedule, x.now, buyer.row.schedule_id)


def closed_failure(schedule: CompiledSchedule, now: int, schedule_id: int | None) -> Failure:
    state = schedule.state_at(now)
    return Failure("closed", {"schedule_id": schedule_id, "why": state.why, "next_open": state.next_change})


def state_or_consent(buyer: CompiledBuyer, x: Context) -> Failure | None:
    if x.state is None:
        return Failure("state_blocked", {"state": "unknown"}) if x.unknown_blocked else None
    rule = x.state_rules.get(buyer.id, x.state_rule)
    if rule is None or rule.action == "allow":
        return None
    values = {"state": x.state, "rule_id": rule.id}
    if rule.action == "block":
        return Failure("state_blocked", values)
    given = x.facts.consents
    if rule.consent_type in given or (rule.consent_type == "none" and given):
        return None
    return Failure("consent_required", {**values, "consent_type": rule.consent_type, "given": sorted(given)})


def suppressed(buyer: CompiledBuyer, x: Context) -> Failure | None:
    entry = x.suppressed.get(buyer.id)
    if entry is None:
        return None
    return Failure(
        "suppressed",
        {
            "entry_id": entry.id,
            "list_type": entry.list_type,
            "why": entry.reason,
            "expires_at": entry.expires_at,
        },
    )


def filtered(buyer: CompiledBuyer, x: Context) -> Failure | None:
    for condition in buyer.filters:
        actual = x.tags.get(condition.tag)
        if not condition.test(actual):
            return filter_failure(condition.tag, condition.op, condition.value, actual)
    return None


def filter_failure(tag: str, op: str, value: Any, actual: Any) -> Failure:
    return Failure("filter", {"tag": tag, "op": op, "value": value, "actual": actual})


def duplicate(buyer: CompiledBuyer, x: Context) -> Failure | None:
    if not x.history:
        return None
    own = buyer.row.duplicate
    for of, rule in (*x.call_duplicates, ("buyer", own)):
        if rule is None or rule.action not in ("skip_buyer", "block"):
            continue
        before = seen_by(rule, buyer, x)
        if before is not None:
            return duplicate_failure(of, rule, before.call_id, before.at)
    return None


def seen_by(rule: DuplicateRule, buyer: CompiledBuyer, x: Context) -> PreviousCall | None:
    """The earlier call that makes this one a duplicate for the buyer under the rule."""
    return previous_call(rule, x.history, x.now, campaign_id=x.campaign_id, buyer_id=buyer.id, peers=buyer.peers)


def duplicate_failure(of: str, rule: DuplicateRule, call_id: str, at: int) -> Failure:
    return Failure(
        "duplicate",
        {
            "of": of,
            "scope": rule.scope,
            "after": rule.after,
            "window_days": rule.window_days,
            "previous_call": call_id,
            "previous_at": at,
        },
    )


def already_tried(buyer: CompiledBuyer, x: Context) -> Failure | None:
    return Failure("already_tried", {}) if buyer.id in x.facts.tried else None


def rerouted(buyer: CompiledBuyer, x: Context) -> Failure | None:
    most = buyer.row.accept_rerouted_max
    if most is None or x.facts.connections <= most:
        return None
    return Failure("rerouted", {"connections": x.facts.connections, "limit": most})


def skill(buyer: CompiledBuyer, x: Context) -> Failure | None:
    wanted = x.facts.skills
    if not wanted or wanted <= buyer.row.skills:
        return None
    return Failure("skill", {"missing": sorted(wanted - buyer.row.skills)})


def caps(buyer: CompiledBuyer, x: Context) -> Failure | None:
    """All caps, and concurrency too where no spacing comes before it."""
    keys, keyed, counter = x.keys(buyer.zone), buyer.keyed, x.counters.get
    if keyed.keys is not keys:
        keyed.fill(keys, buyer.caps)
    for key, threshold, cap in keyed.rows:
        used = counter(key, 0)
        if used > threshold:
            return exceeded(cap, used, buyer.zone, x)
    return None


def spacing(buyer: CompiledBuyer, x: Context) -> Failure | None:
    least = buyer.row.min_seconds_between
    last = x.counters.get(last_attempt_key(buyer.id))
    if least is None or last is None or x.now - last >= least * 1000:
        return None
    return Failure("spacing", {"last_attempt_at": last, "limit": least, "free_at": last + least * 1000, "unit": "s"})


def concurrency(buyer: CompiledBuyer, x: Context) -> Failure | None:
    line = buyer.concurrency
    return None if line is None else cap_failure(line, buyer.zone, x)


def cap_failure(line: CapLine, zone: ZoneInfo, x: Context) -> Failure | None:
    """The failure of one cap, or None."""
    scope, scope_id, metric, period, threshold, cap = line
    used = x.counters.get((scope, scope_id, metric, period, x.keys(zone)[period]), 0)
    return exceeded(cap, used, zone, x) if used > threshold else None


def exceeded(cap: Cap, used: int, zone: ZoneInfo, x: Context) -> Failure:
    """With used, what the call would add, the limit and when it resets."""
    values: dict[str, Any] = {
        "scope": cap.scope,
        "scope_id": cap.scope_id,
        "metric": cap.metric,
        "used": used,
        "add": cap.amount,
        "limit": cap.limit,
    }
    if cap.period != "concurrent":
        values["resets_at"] = x.resets_at(cap.period, zone)
    return tuple.__new__(Failure, (cap.name, values))


CALL_CHECKS: tuple[BuyerCheck, ...] = (state_or_consent, suppressed, duplicate, already_tried, skill)
"""Checks that no buyer fails on a call without history, list entries, state rules, skills or tries."""


def checks_of(buyer: Buyer, *, faulty: bool) -> tuple[BuyerCheck, ...]:
    """The checks that can fail for a buyer; those that depend on the call alone are always among them."""
    limited = any(
        limit is not None
        for limit in (
            buyer.total_cap,
            buyer.monthly_cap,
            buyer.daily_cap,
            buyer.hourly_cap,
            buyer.converted_total_limit,
            buyer.converted_monthly_limit,
            buyer.converted_daily_limit,
            buyer.revenue_cap_total_cents,
            buyer.revenue_cap_monthly_cents,
            buyer.revenue_cap_daily_cents,
            buyer.concurrency_limit if buyer.min_seconds_between is None else None,
        )
    )
    wanted: tuple[tuple[bool, BuyerCheck], ...] = (
        (buyer.status != "ACTIVE", paused),
        (faulty, misconfigured),
        (buyer.schedule_id is not None, closed),
        (True, state_or_consent),
        (True, suppressed),
        (bool(buyer.filters), filtered),
        (True, duplicate),
        (True, already_tried),
        (buyer.accept_rerouted_max is not None, rerouted),
        (True, skill),
        (limited, caps),
        (buyer.min_seconds_between is not None, spacing),
        (buyer.concurrency_limit is not None and buyer.min_seconds_between is not None, concurrency),
    )
    return tuple(check for applies, check in wanted if applies)
