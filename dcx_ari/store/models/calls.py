"""What happened: calls, their legs, events and recordings.

They name configuration rows by id without a foreign key: a buyer can be deleted while his call goes on, and
the history of a deleted row stays. Ids are never used again, so no call ends up under another's name.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import choice, json_field, one_of
from dcx_ari.store.types import BigId, Millis

CallStatus = Literal[
    "RINGING",
    "IN_PROGRESS",
    "ON_HOLD",
    "COMPLETED",
    "NO_ANSWER",
    "BUSY",
    "FAILED",
    "ABANDONED",
    "BLOCKED",
    "VOICEMAIL",
]
Direction = Literal["inbound", "outbound"]
EndedBy = Literal["caller", "buyer", "system"]
RecordingState = Literal["recording", "processing", "ready", "failed"]

LOGGED = (
    *("started_at", "id", "status", "buyer_id", "campaign_id", "traffic_source_id", "number_id", "group_id"),
    *("caller", "caller_state", "caller_city", "direction", "converted", "test", "talk_ms"),
    *("revenue_cents", "payout_cents", "cost_cents", "connected_at", "ended_at"),
    *("local_day", "local_hour", "local_weekday", "local_minute", "failure_reason", "outcome"),
)
"""What lists are filtered and reports summed by, in one index: the rows themselves, 2.5 kB each, are not read."""


def _moment(description: str) -> Any:
    return Field(default=None, sa_type=Millis, description=f"{description}, epoch ms")


class Call(SQLModel, table=True):
    """One caller's visit. `talk_ms` is time bridged; money is integer cents, sums of the ledger."""

    __tablename__ = "calls"
    __table_args__ = (
        one_of("status", CallStatus),
        one_of("direction", Direction),
        one_of("ended_by", EndedBy),
        Index("ix_calls_log", *LOGGED),
        Index("ix_calls_buyer", "buyer_id", "started_at"),
        Index("ix_calls_campaign", "campaign_id", "started_at"),
        Index("ix_calls_source", "traffic_source_id", "started_at", "number_id", "test"),  # all that its counts read
        Index("ix_calls_caller", "caller", "started_at"),
        Index("ix_calls_flow", "flow_id", "started_at"),
        Index(
            "ix_calls_open",
            "worker",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True, description="Call id; sorts by time")
    worker: str = Field(default="", description="ARI application that owns the call")
    node_id: str | None = Field(default=None, description="Asterisk node")
    channel_id: str | None = Field(default=None, description="The caller's channel")
    direction: Direction = choice("inbound", "inbound or outbound")
    dialled: str = Field(default="", description="What was dialled, as it came")
    caller: str = Field(default="", description="Caller's number: E.164 where it could be read, else as it came")
    caller_name: str = Field(default="", description="Caller's name as it came")
    caller_state: str | None = Field(default=None, description="Caller's US state; empty: unknown")
    caller_city: str | None = Field(default=None, description="Where the caller's number was issued; empty: unknown")
    number_id: int | None = Field(default=None)
    campaign_id: int | None = Field(default=None)
    traffic_source_id: int | None = Field(default=None)
    buyer_id: int | None = Field(default=None, description="Buyer who was connected")
    group_id: int | None = Field(default=None)
    flow_id: int | None = Field(default=None)
    flow_version: int | None = Field(default=None)
    flow_path: str | None = Field(default=None, sa_type=Text, description="Way through the flow: node:edge node:edge …")
    stage: str = Field(default="", description="Named stage, written before acting")
    stage_data: dict[str, Any] = json_field(dict[str, Any], "State that the stage needs", factory=dict)
    status: CallStatus = choice("RINGING", "Status")
    failure_reason: str | None = Field(default=None, description="Why no buyer was connected")
    outcome: str | None = Field(default=None, description="What came of it, as somebody judged (disposition)")
    tags: dict[str, Any] = json_field(dict[str, Any], "Facts gathered about the call", factory=dict)
    started_at: int = Field(sa_type=Millis, description="Call arrived, epoch ms")
    local_day: int | None = Field(default=None, description="Day of arrival on the company's clock, as 20260131")
    local_hour: int | None = Field(default=None, description="Hour of arrival on the company's clock, 0 to 23")
    local_weekday: int | None = Field(default=None, description="Weekday there: 1 Monday to 7 Sunday")
    local_minute: int | None = Field(default=None, description="Minute of that day, 0 to 1439")
    answered_at: int | None = _moment("Answered by us")
    connected_at: int | None = _moment("First bridged to a buyer")
    ended_at: int | None = _moment("Ended")
    talk_ms: int = Field(default=0, description="Time bridged, ms")
    billable_ms: int = Field(default=0, description="Time that counts for billing, ms")
    ended_by: EndedBy | None = Field(default=None, sa_type=Text, description="caller, buyer or system")
    cause: int | None = Field(default=None, description="Hangup cause, ITU-T Q.850")
    revenue_cents: int = Field(default=0, description="Buyer pays us, cents")
    payout_cents: int = Field(default=0, description="We pay the source, cents")
    cost_cents: int = Field(default=0, description="Telephony, cents")
    converted: bool = Field(default=False)
    converted_at: int | None = _moment("Converted")
    source_converted: bool = Field(default=False)
    test: bool = Field(default=False, description="Kept out of caps and money")
    decision: dict[str, Any] | None = json_field(dict[str, Any], "Who got the call and why")
    config_version: int | None = Field(default=None, description="Configuration the decision was made with")
    postback_key: str | None = Field(default=None, unique=True, description="Names the call in a buyer's postback")
    sip_call_id: str | None = Field(default=None)
    headers: dict[str, Any] = json_field(dict[str, Any], "SIP headers that matter", factory=dict)


class DecisionTables(SQLModel, table=True):
    """The part of a Decision's inputs that all calls of a campaign share until its configuration changes.

    A call's `decision` names it by digest, so that it is kept once and not with every call.
    """

    __tablename__ = "decision_tables"

    digest: str = Field(primary_key=True, description="SHA-256 of the text, hexadecimal")
    text: str = Field(sa_type=Text, description="JSON of the campaign's rows")


class Leg(SQLModel, table=True):
    """One attempt to reach a buyer."""

    __tablename__ = "legs"

    id: str = Field(primary_key=True, description="The leg's channel id, derived from the call id")
    call_id: str = Field(foreign_key="calls.id", ondelete="CASCADE", index=True)
    buyer_id: int | None = Field(default=None)
    group_id: int | None = Field(default=None)
    trunk_id: int | None = Field(default=None)
    endpoint: str = Field(default="", description="What was dialled")
    position: int = Field(default=0, description="Order within the call, from 0; legs rung together share it")
    dialled_at: int | None = _moment("Dialled")
    ringing_at: int | None = _moment("First ringing")
    answered_at: int | None = _moment("Answered")
    accepted_at: int | None = _moment("Accepted by digit")
    bridged_at: int | None = _moment("Bridged to the caller")
    ended_at: int | None = _moment("Ended")
    result: str | None = Field(default=None, description="answered, busy, no_answer, rejected, unreachable …")
    cause: int | None = Field(default=None, description="Hangup cause, ITU-T Q.850")
    tech_cause: int | None = Field(default=None, description="SIP status of the leg, where known")


class CallEvent(SQLModel, table=True):
    """One step of a call; `seq` counts from 1 within the call."""

    __tablename__ = "call_events"
    __table_args__ = (UniqueConstraint("call_id", "seq"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    call_id: str = Field(foreign_key="calls.id", ondelete="CASCADE")
    at: int = Field(sa_type=Millis, description="When, epoch ms")
    seq: int
    kind: str
    data: dict[str, Any] = json_field(dict[str, Any], "Details", factory=dict)


class Recording(SQLModel, table=True):
    """One stereo file: caller left, buyer right. No call is deleted from under its files."""

    __tablename__ = "recordings"
    __table_args__ = (one_of("state", RecordingState),)

    id: str = Field(primary_key=True, description="Recording id, derived from the call id")
    call_id: str = Field(foreign_key="calls.id", ondelete="RESTRICT", index=True)
    leg_id: str | None = Field(default=None, foreign_key="legs.id", ondelete="SET NULL")
    path: str | None = Field(default=None, description="Relative to the home directory; empty until ready")
    sha256: str | None = Field(default=None, description="Of the file, hexadecimal")
    size_bytes: int | None = Field(default=None, sa_type=Millis)
    duration_ms: int | None = Field(default=None)
    channels: int = Field(default=2)
    state: RecordingState = choice("recording", "recording, processing, ready or failed")
    started_at: int | None = _moment("Started")
    ended_at: int | None = _moment("Ended")
    pauses: list[Any] = json_field(list[Any], "Pauses: [[from_ms, to_ms], …] from the start", factory=list)
    error: str | None = Field(default=None)
    deleting_at: int | None = _moment("Deletion of the audio began")
    deleted_at: int | None = _moment("Audio is gone")
    delete_reason: str | None = Field(default=None, description="Why the audio was deleted")
