"""Whose rows an asker may see: carried by the session, so that no service can forget it.

`session.info["scope"]` is set where a request comes in (`api.context`); a session without one sees all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import false
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.resources import Resource
from dcx_ari.services.times import zone_of

__all__ = ["EVERYTHING", "Scope", "conditions", "scope_of", "zone_of"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Only what belongs to this buyer, to this traffic source; both None: everything."""

    buyer_id: int | None = None
    source_id: int | None = None

    @property
    def everything(self) -> bool:
        return self.buyer_id is None and self.source_id is None


EVERYTHING = Scope()


def scope_of(session: AsyncSession) -> Scope:
    found: Scope = session.info.get("scope", EVERYTHING)
    return found


def conditions(scope: Scope, resource: Resource) -> list[Any]:
    """What every query on these rows is narrowed by.

    A buyer sees its own row, a source its own row and its numbers, neither anything else; one tied to both sees
    nothing of either that is not in both.
    """
    model: Any = resource.model
    found: list[Any] = []
    if scope.buyer_id is not None:
        found.append(model.id == scope.buyer_id if resource.name == "buyers" else false())
    if scope.source_id is not None:
        if resource.name == "sources":
            found.append(model.id == scope.source_id)
        else:
            own = resource.name == "numbers"
            found.append(model.traffic_source_id == scope.source_id if own else false())
    return found
