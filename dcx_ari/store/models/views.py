"""Saved views: what one asks for again and again, by name, and how its columns are laid out."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label, Line
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, json_field


class SavedViewFields(SQLModel):
    resource: Line = Field(description="Kind of row that it lists, such as campaigns or calls")
    name: Label = Field(description="Name of the view")
    filters: dict[str, list[str]] = json_field(
        dict[str, list[str]], 'What to show: {"status": ["ACTIVE"], …}', factory=dict
    )
    search: Line = Field(default="", description="Text to look for")
    sort_by: Line = Field(default="", description="Column to sort by; empty: as the list does")
    sort_desc: bool = Field(default=False, description="Largest first")
    visible_columns: list[str] = json_field(list[str], "Columns to show; empty: the usual ones", factory=list)
    column_order: list[str] = json_field(list[str], "Columns in the order to show them", factory=list)
    shared: bool = Field(default=False, description="Everybody may use it; only its owner may change it")


class SavedView(SavedViewFields, ConfigRow, table=True):
    """`owner` is who made it: `key:3`, `user:5`, or `cli:NAME`, an account of this machine."""

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("owner", "resource", "name"), AUTOINCREMENT)

    owner: str = Field(description="Who made it")
