"""The values kept in JSON columns: each a type of its own, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dcx_ari.decide import rows
from dcx_ari.decide.filters import OPERATORS, compile_filter
from dcx_ari.decide.hours import parse_spans
from dcx_ari.decide.recurrence import parse_recurrence
from dcx_ari.store.fields import Cents, Clock, Digit, IsoDate, Seconds, endpoint

TimerStart = Literal["dial", "answer", "accept", "bridge"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Scalar = str | int | float | bool
Window = Annotated[list[Clock], Field(min_length=2, max_length=2)]


class Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(Value):
    """One test of a call's tag. All filters of a row must hold; a missing tag never matches."""

    tag: TagName
    op: Literal[OPERATORS]  # type: ignore[valid-type]  # the one list is in decide
    value: Scalar | list[Scalar] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Filter:
        compile_filter(rows.Filter(self.tag, self.op, self.value))
        return self


class DuplicateRule(Value):
    """What to do with a caller seen before. `window_days` null or `forever` = always."""

    scope: Literal["campaign", "buyer", "buyer_group", "company"] = "buyer"
    after: Literal["attempted", "connected", "converted"] = "connected"
    window_days: Annotated[int, Ge(0), Le(36_500)] | Literal["forever"] | None = None
    action: Literal["skip_buyer", "route_but_unpaid", "block", "prefer_previous"] = "skip_buyer"


class Fallback(Value):
    """Where the caller goes when no buyer took the call: `on` is a failure reason, or `any`. `value` is the number to
    forward to, the announcement, or the greeting of the voicemail (none: ours).
    """

    on: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] = "any"
    kind: Literal["forward", "announcement", "voicemail", "hangup"]
    value: Annotated[str, StringConstraints(max_length=2_000)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Fallback:
        if self.kind in ("hangup", "voicemail"):
            return self
        if not self.value:
            raise ValueError(f"a fallback of kind {self.kind} needs a value")
        if self.kind == "forward":
            endpoint(self.value)
        return self


class ConversionRule(Value):
    """When a call counts as sold. `threshold_s` seconds from `timer_start`; 0 = at once.

    `revenue_cents` null = the buyer's own price; min and max bound what a postback may say. `hours` (wall
    clock at call start, the buyer's zone) and `filters` narrow the calls it speaks of.
    """

    kind: Literal["duration", "digit", "postback", "disposition"] = "duration"
    threshold_s: Seconds = 0
    timer_start: TimerStart = "bridge"
    digit: Digit | None = None
    disposition: Annotated[str, StringConstraints(max_length=50)] | None = None
    revenue_cents: Cents | None = None
    revenue_min_cents: Cents | None = None
    revenue_max_cents: Cents | None = None
    duplicate_window_days: Annotated[int, Ge(0), Le(36_500)] | None = None
    hours: list[Window] = Field(default_factory=list)
    filters: list[Filter] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> ConversionRule:
        if (self.kind == "digit") != (self.digit is not None):
            raise ValueError("digit goes with kind digit, and only there")
        low, high = self.revenue_min_cents, self.revenue_max_cents
        if low is not None and high is not None and low > high:
            raise ValueError("revenue_min_cents must not be above revenue_max_cents")
        return self


class PayoutTier(Value):
    from_s: Seconds
    cents: Cents


class PayoutHours(Value):
    """Local hours of the source's zone, `start` included, `end` excluded; no `days` = every day."""

    start: Clock
    end: Clock
    cents: Cents
    days: list[Weekday] = Field(default_factory=list)


class Payout(Value):
    """What the source gets for a call: flat cents, a share of revenue, by talk time, or by hour of day.

    `share_bp` is in basis points (2500 = 25 %); `cents` is the flat price, and the one outside all `hours`.
    """

    model: Literal["flat", "share", "tiers", "hours"] = "flat"
    cents: Cents = 0
    share_bp: Annotated[int, Ge(0), Le(10_000)] = 0
    tiers: list[PayoutTier] = Field(default_factory=list)
    hours: list[PayoutHours] = Field(default_factory=list)
    threshold_s: Seconds = 0
    timer_start: TimerStart = "bridge"
    duplicate: DuplicateRule | None = None

    @model_validator(mode="after")
    def _fits(self) -> Payout:
        missing = {
            "share": not self.share_bp,
            "tiers": not self.tiers,
            "hours": not self.hours,
        }.get(self.model, False)
        if missing:
            raise ValueError(f"model {self.model} needs {'share_bp' if self.model == 'share' else self.model}")
        return self


class Rate(Value):
    """The price of a minute on a trunk to numbers that begin with `prefix` (digits, "" = all others)."""

    prefix: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,15}$")] = ""
    cents_per_minute_x100: Annotated[int, Ge(0), Le(1_000_000)]
    minimum_s: Seconds = 0
    increment_s: Annotated[int, Ge(1), Le(3_600)] = 60
    setup_cents: Cents = 0


class Weekly(Value):
    """Opening hours by weekday: lists of [start, end), local time, past midnight where end <= start."""

    mon: list[Window] = Field(default_factory=list)
    tue: list[Window] = Field(default_factory=list)
    wed: list[Window] = Field(default_factory=list)
    thu: list[Window] = Field(default_factory=list)
    fri: list[Window] = Field(default_factory=list)
    sat: list[Window] = Field(default_factory=list)
    sun: list[Window] = Field(default_factory=list)

    @model_validator(mode="after")
    def _readable(self) -> Weekly:
        for day, windows in self:
            parse_spans(windows, day)
        return self


class Holidays(Value):
    """Public holidays on which it is closed: ISO 3166 country and, where wanted, its subdivision."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    subdiv: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,3}$")] | None = None


class DateException(Value):
    """One date that differs from the week: closed, or other hours."""

    date: IsoDate
    closed: bool = False
    hours: list[Window] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> DateException:
        if self.closed == bool(self.hours):
            raise ValueError("an exception is either closed or has hours")
        parse_spans(self.hours, self.date)
        return self


class Recurrence(Value):
    """A repeating opening or closing: an RFC 5545 rule that ends, from a local start."""

    rrule: Annotated[str, StringConstraints(max_length=500)]
    dtstart: Annotated[str, StringConstraints(max_length=30)]
    duration_minutes: Annotated[int, Ge(1), Le(527_040)] = 1_440
    closed: bool = False

    @model_validator(mode="after")
    def _ends(self) -> Recurrence:
        parse_recurrence(self.model_dump())
        return self
