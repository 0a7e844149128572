"""What all configuration rows have, and helpers to say a column in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from sqlalchemy import CheckConstraint, DefaultClause, Table, Text, text
from sqlmodel import Field, SQLModel

from dcx_ari.store.types import Json, Millis


class ConfigRow(SQLModel):
    """Ids are never used again (AUTOINCREMENT): calls and ledger entries outlive the rows they name."""

    id: int | None = Field(default=None, primary_key=True, description="Row id")
    created_at: int = Field(default=0, sa_type=Millis, description="Created, epoch ms")
    updated_at: int = Field(default=0, sa_type=Millis, description="Last change, epoch ms")
    version: int = Field(default=1, description="Grows by one with every change")


READ_ONLY = frozenset(ConfigRow.model_fields)
AUTOINCREMENT: dict[str, Any] = {"sqlite_autoincrement": True}


def choice(default: str, description: str) -> Any:
    """A text column for a Literal."""
    return Field(default=default, sa_type=Text, description=description)


def json_field(kind: Any, description: str, *, factory: Any = None) -> Any:
    """A typed JSON column; without a `factory` it may be null."""
    if factory is None:
        return Field(default=None, sa_type=Json(kind), description=description)
    return Field(default_factory=factory, sa_type=Json(kind), description=description)


def one_of(column: str, literal: Any) -> CheckConstraint:
    """CHECK that a text column holds one of a Literal's values (or null)."""
    allowed = ", ".join(f"'{value}'" for value in get_args(literal))
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def at_least(low: int, columns: Iterable[str]) -> list[CheckConstraint]:
    return [CheckConstraint(f"{column} >= {low}", name=column) for column in columns]


def between(column: str, low: int, high: int) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN {low} AND {high}", name=column)


def default_in_database(tables: Iterable[Table]) -> None:
    """Give columns their simple defaults in SQL too, for statements written by hand (hot paths, repairs)."""
    for table in tables:
        for column in table.columns:
            if column.server_default is None and (sql := _literal(column.default)) is not None:
                column.server_default = DefaultClause(text(sql))


def _literal(default: Any) -> str | None:
    value = getattr(default, "arg", None)
    if getattr(default, "is_callable", False):
        value = default.arg(None)
        value = "{}" if value == {} or not isinstance(value, list) else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else None
