"""People behind callers' numbers."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import E164, Email, Line, Notes
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, json_field
from dcx_ari.store.models.values import TagName

PersonName = Annotated[str, StringConstraints(max_length=100)]
ContactTag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
ContactTags = Annotated[list[ContactTag], Len(0, 50)]
Custom = Annotated[dict[TagName, Annotated[str, StringConstraints(max_length=1_000)] | int | float | bool], Len(0, 50)]


class ContactFields(SQLModel):
    phone_number: E164 = Field(unique=True, description="The person's number, E.164")
    first_name: PersonName = Field(default="", description="First name")
    last_name: PersonName = Field(default="", description="Last name")
    email: Email = Field(default="", description="E-mail address")
    company: Annotated[str, StringConstraints(max_length=200)] = Field(default="", description="Company")
    tags: ContactTags = json_field(ContactTags, "Words to find the person by", factory=list)
    custom: Custom = json_field(Custom, 'Fields of your own: {"zip": "10001", …}', factory=dict)
    notes: Notes = Field(default="", description="Free text")
    added_by: Line = Field(default="", description="Where we know the person from")


class Contact(ContactFields, ConfigRow, table=True):
    __tablename__ = "contacts"
    __table_args__ = (AUTOINCREMENT,)
