"""Where webhooks go."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Line, Status
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, json_field, one_of
from dcx_ari.store.types import Millis

EndpointFormat = Literal["standard", "slack"]


class WebhookEndpointFields(SQLModel):
    """What a person sets."""

    url: str = Field(max_length=2000, description="Where to post: https://… or http://…")
    events: list[str] = json_field(list[str], "Events to send, such as call.completed; * for all", factory=list)
    format: EndpointFormat = choice("standard", "standard (Standard Webhooks) or slack")
    description: Line = Field(default="", description="What it is for")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE")


class WebhookEndpoint(ConfigRow, WebhookEndpointFields, table=True):
    """`secret` signs; after a rotation `old_secret` signs beside it until `old_until`."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (one_of("format", EndpointFormat), one_of("status", Status), AUTOINCREMENT)

    secret: str = Field(default="", description="whsec_… with which requests are signed")
    old_secret: str | None = Field(default=None)
    old_until: int | None = Field(default=None, sa_type=Millis, description="Old secret signs until, epoch ms")
    failing_since: int | None = Field(default=None, sa_type=Millis, description="Nothing got through since, epoch ms")
    disabled_reason: str | None = Field(default=None, sa_type=Text, description="Why the engine switched it off")
