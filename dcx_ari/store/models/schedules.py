"""Opening hours."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, json_field
from dcx_ari.store.models.values import DateException, Holidays, Recurrence, Weekly


class ScheduleFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the schedule")
    timezone: Zone = Field(default="America/New_York", description="IANA zone of its hours")
    weekly: Weekly = json_field(Weekly, 'Hours by weekday: {"mon": [["09:00", "17:00"]], …}', factory=Weekly)
    holidays: Holidays | None = json_field(Holidays, "Closed on public holidays of {country, subdiv}")
    exceptions: list[DateException] = json_field(
        list[DateException], "Single dates: [{date, closed} or {date, hours}]", factory=list
    )
    recurrence: list[Recurrence] = json_field(
        list[Recurrence],
        "Repeating openings or closings: [{rrule, dtstart, duration_minutes, closed}]",
        factory=list,
    )


class Schedule(ScheduleFields, ConfigRow, table=True):
    __tablename__ = "schedules"
    __table_args__ = (AUTOINCREMENT,)
