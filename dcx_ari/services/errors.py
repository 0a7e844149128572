"""What a person or a script can mend: one message naming the field and the rule, and nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request that was refused. `field` may be a path such as `filters.0.op`."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule

    def as_json(self) -> dict[str, Any]:
        return {"error": {"field": self.field, "rule": self.rule, "message": str(self)}}


class Invalid(Refused):
    """A value breaks a rule."""


class UnknownKey(Refused):
    """A query names a filter or a column that does not exist."""


class Forbidden(Refused):
    """The asker may not do this, whatever the row."""


class NotFound(Refused):
    """There is no such row."""


class Gone(Refused):
    """It was there, and was deleted on purpose."""


class Conflict(Refused):
    """The request is well formed but clashes with what is there."""


class Unavailable(Refused):
    """It may be done, but not now: what is needed for it is away."""


class Stale(Conflict):
    """The row changed since the asker read it. `current` says how it is now, in JSON values.

    `version`, `updated_at`, and `values` of the fields that the asker wanted to change.
    """

    def __init__(self, field: str, rule: str, current: Mapping[str, Any] | None = None) -> None:
        super().__init__(field, rule)
        self.current = current

    def as_json(self) -> dict[str, Any]:
        told = super().as_json()
        return told if self.current is None else {**told, "current": dict(self.current)}
