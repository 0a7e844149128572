"""Column types: typed JSON, milliseconds."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, BigInteger, Dialect, Integer, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

from dcx_ari.store.postgres import cleaned

BigId = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's own row id
Millis = BigInteger  # epoch milliseconds, UTC


class Json(TypeDecorator[Any]):
    """A JSON column whose value in Python is of one type: pydantic models, lists of them, plain JSON.

    Null in Python is NULL in SQL. Values are checked on the way out too: a row that does not fit its type
    is a defect or a hand edit, and is refused by name.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__(none_as_null=True)
        self.kind = kind
        self._adapter = TypeAdapter(kind)

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        plain = self._adapter.dump_python(value, mode="json", exclude_none=True)
        return cleaned(plain) if dialect.name == "postgresql" else plain

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.validate_python(value)
