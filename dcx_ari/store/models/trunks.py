"""Carriers: where calls come from and go to."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Host, Label, Line, Network, Port, Status
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, choice, json_field, one_of
from dcx_ari.store.models.values import Rate

Transport = Literal["udp", "tcp"]


class TrunkFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the carrier")
    host: Host = Field(description="SIP host or address of the carrier")
    port: Port = Field(default=5060, description="SIP port of the carrier")
    transport: Transport = choice("udp", "SIP transport")
    username: Line | None = Field(default=None, description="User name for outbound calls, where the carrier asks")
    password: Line | None = Field(default=None, sa_type=Text, description="Password; write-only, never shown")
    accept_from: list[Network] = json_field(
        list[Network], "Addresses or networks that calls may come from", factory=list
    )
    is_default: bool = Field(default=False, description="Carries calls that name no trunk")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE")
    rates: list[Rate] = json_field(list[Rate], "Price by prefix; the longest prefix wins", factory=list)


class Trunk(TrunkFields, ConfigRow, table=True):
    __tablename__ = "trunks"
    __table_args__ = (
        one_of("status", Status),
        one_of("transport", Transport),
        *at_least(1, ["port"]),
        Index(
            "ix_trunks_one_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
        AUTOINCREMENT,
    )
