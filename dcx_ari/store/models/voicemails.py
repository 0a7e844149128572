"""Messages that callers left."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import choice, json_field, one_of
from dcx_ari.store.types import Millis

VoicemailState = Literal["new", "heard", "done"]
Urgency = Literal["low", "normal", "high", "urgent"]
AudioState = Literal["recording", "ready", "failed"]
TextState = Literal["waiting", "done", "failed", "none"]


class Voicemail(SQLModel, table=True):
    """Shown once `audio` is ready, or has failed: then the row says that somebody spoke, and `error` what happened."""

    __tablename__ = "voicemails"
    __table_args__ = (
        one_of("state", VoicemailState),
        one_of("priority", Urgency),
        one_of("audio", AudioState),
        one_of("transcribing", TextState),
        Index("ix_voicemails_created", "created_at"),
        Index("ix_voicemails_audio", "audio", "transcribing"),
    )

    id: str = Field(primary_key=True, description="Voicemail id, derived from the call id")
    call_id: str = Field(foreign_key="calls.id", ondelete="RESTRICT", index=True)
    number_id: int | None = Field(default=None)
    campaign_id: int | None = Field(default=None)
    caller: str = Field(default="", description="Caller's number")
    audio: AudioState = choice("recording", "recording, ready or failed")
    path: str | None = Field(default=None, description="Relative to the home directory; empty until ready")
    sha256: str | None = Field(default=None, description="Of the file, hexadecimal")
    size_bytes: int | None = Field(default=None, sa_type=Millis)
    duration_ms: int = Field(default=0)
    error: str | None = Field(default=None, description="Why there is no audio")
    state: VoicemailState = choice("new", "new, heard or done")
    priority: Urgency = choice("normal", "low, normal, high or urgent")
    assigned_to: str | None = Field(default=None, description="Who looks after it")
    callback_scheduled_at: int | None = Field(default=None, sa_type=Millis, description="Callback is due, epoch ms")
    notes: str = Field(default="", sa_type=Text)
    mail_to: list[str] = json_field(list[str], "Who gets it by e-mail", factory=list)
    transcription: str | None = Field(
        default=None, sa_type=Text, description="What was said, as a machine understood it"
    )
    transcription_confidence: float | None = Field(default=None, description="0 to 1; empty: not told")
    transcribing: TextState = choice("waiting", "waiting, done, failed or none")
    transcription_error: str | None = Field(default=None)
    transcription_tries: int = Field(default=0)
    transcription_next_at: int = Field(default=0, sa_type=Millis, description="Next try, epoch ms")
    created_at: int = Field(default=0, sa_type=Millis, description="Recording began, epoch ms")
    updated_at: int = Field(default=0, sa_type=Millis, description="Last change, epoch ms")
    heard_at: int | None = Field(default=None, sa_type=Millis, description="First heard, epoch ms")
    done_at: int | None = Field(default=None, sa_type=Millis, description="Done, epoch ms")
    deleting_at: int | None = Field(default=None, sa_type=Millis, description="Nobody finds it from then on, epoch ms")


def shown_columns() -> tuple[str, ...]:
    """What people see of one."""
    inside: Any = {"audio", "mail_to", "transcription_tries", "transcription_next_at", "path", "deleting_at"}
    return tuple(name for name in Voicemail.model_fields if name not in inside)
