"""Reports that are sent by themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Len
from pydantic import StringConstraints
from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Clock, Label, Line, Status, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, between, choice, json_field, one_of
from dcx_ari.store.types import Millis

Frequency = Literal["daily", "weekly", "monthly"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ReportFormat = Literal["csv", "excel", "pdf"]
Recipient = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]
Recipients = Annotated[list[Recipient], Len(1, 50)]
Filters = Annotated[dict[str, list[str]], Len(0, 50)]


class ScheduledReportFields(SQLModel):
    name: Label = Field(unique=True, description="Name; the subject of the e-mail")
    frequency: Frequency = choice("daily", "daily, weekly or monthly")
    time_of_day: Clock = Field(default="08:00", description="When it is sent, HH:MM")
    weekday: Weekday = choice("mon", "Day of a weekly report: mon to sun")
    month_day: Annotated[int, Ge(1), Le(31)] = Field(
        default=1, description="Day of a monthly report; in a shorter month its last day"
    )
    timezone: Zone | None = Field(default=None, description="IANA zone of the time; empty: company's")
    group_by: Line = Field(default="buyer", description="One or two dimensions, such as buyer,day")
    date_range: Line = Field(
        default="", description="Days that it is about; empty: yesterday, last_week or last_month, by frequency"
    )
    filter_config: Filters = json_field(Filters, 'Filters of calls: {"campaign": ["Solar"], …}', factory=dict)
    recipients: Recipients = json_field(Recipients, "E-mail addresses", factory=list)
    format: ReportFormat = choice("csv", "csv, excel or pdf")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE (not sent)")


class ScheduledReport(ScheduledReportFields, ConfigRow, table=True):
    """`next_run_at` holds for the times in `planned_for`: where those were changed since, it is worked out anew."""

    __tablename__ = "scheduled_reports"
    __table_args__ = (
        one_of("frequency", Frequency),
        one_of("weekday", Weekday),
        one_of("format", ReportFormat),
        one_of("status", Status),
        between("month_day", 1, 31),
        AUTOINCREMENT,
    )

    next_run_at: int | None = Field(default=None, sa_type=Millis, description="Due, epoch ms; empty: by `updated_at`")
    planned_for: str = Field(default="", description="Frequency, time and zone that it was worked out from")
    last_run_at: int | None = Field(default=None, sa_type=Millis, description="Last made, epoch ms")
    last_error: str | None = Field(default=None, sa_type=Text, description="Why the last one was not sent")
