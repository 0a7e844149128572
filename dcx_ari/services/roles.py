"""Roles of one's own, beside those that are built in."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Forbidden, Invalid, NotFound
from dcx_ari.services.holder import Holder
from dcx_ari.services.permissions import BUILT_IN, check_patterns, covers
from dcx_ari.services.render import plain
from dcx_ari.services.unique import flush
from dcx_ari.store.models import AccessRole, ApiKey, Invitation, User

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


async def patterns_of(session: AsyncSession, role: str) -> tuple[str, ...]:
    """What a role may do. Raises Invalid where there is no such role."""
    if role in BUILT_IN:
        return BUILT_IN[role]
    row = (await session.exec(select(AccessRole).where(col(AccessRole.name) == role))).first()
    if row is None:
        names = [*BUILT_IN, *(await session.exec(select(AccessRole.name).order_by(col(AccessRole.name)))).all()]
        raise Invalid("role", f"must be one of {', '.join(names)}")
    return tuple(row.permissions)


async def check_grant(session: AsyncSession, role: str, giver: Holder | None) -> None:
    """Raises Invalid where there is no such role, Forbidden where `giver` has less (None: the command line)."""
    patterns = await patterns_of(session, role)
    if giver is not None and not covers(giver.permissions, patterns):
        raise Forbidden("role", f"{role} may do more than you: you cannot hand it out, change it or take it over")


async def list_roles(session: AsyncSession) -> list[dict[str, Any]]:
    own = (await session.exec(select(AccessRole).order_by(col(AccessRole.name)))).all()
    built_in = [{"name": name, "permissions": list(each), "built_in": True} for name, each in BUILT_IN.items()]
    return [*built_in, *map(_shown, own)]


async def create_role(
    session: AsyncSession, name: str, permissions: Collection[str], giver: Holder | None = None
) -> dict[str, Any]:
    """Raises Invalid, Conflict, Forbidden."""
    if not _NAME.fullmatch(name):
        raise Invalid("name", "must be small letters, digits, - and _, beginning with a letter")
    if name in BUILT_IN or await _find(session, name) is not None:
        raise Conflict("name", f"{name!r} is taken by another role")
    row = AccessRole(name=name, permissions=_checked(permissions, giver), created_at=now_ms())
    session.add(row)
    await flush(session, "name")
    await audit.record(session, "role.created", "role", name, None, _shown(row))
    return _shown(row)


async def change_role(
    session: AsyncSession, name: str, permissions: Collection[str], giver: Holder | None = None
) -> dict[str, Any]:
    """Raises NotFound, Invalid, Forbidden."""
    row = await _existing(session, name)
    await check_grant(session, name, giver)
    before = _shown(row)
    row.permissions = _checked(permissions, giver)
    session.add(row)
    await session.flush()
    await audit.record(session, "role.updated", "role", name, before, _shown(row))
    return _shown(row)


async def remove_role(session: AsyncSession, name: str) -> None:
    """Raises NotFound, Conflict while a key, a user or an open invitation has it."""
    row = await _existing(session, name)
    for model, what, live in (
        (ApiKey, "keys", col(ApiKey.revoked_at).is_(None)),
        (User, "users", col(User.id).is_not(None)),
        (Invitation, "invitations", col(Invitation.status) == "pending"),
    ):
        table: Any = model
        count = (await session.exec(select(func.count()).select_from(table).where(table.role == name, live))).one()
        if count:
            raise Conflict("role", f"is still used by {count} {what}")
    await session.delete(row)
    await audit.record(session, "role.deleted", "role", name, _shown(row), None)


def _checked(permissions: Collection[str], giver: Holder | None) -> list[str]:
    wanted = check_patterns(permissions)
    if giver is not None and not covers(giver.permissions, wanted):
        raise Forbidden("permissions", "are more than you have yourself")
    return wanted


async def _find(session: AsyncSession, name: str) -> AccessRole | None:
    return (await session.exec(select(AccessRole).where(col(AccessRole.name) == name))).first()


async def _existing(session: AsyncSession, name: str) -> AccessRole:
    if name in BUILT_IN:
        raise Conflict("role", f"{name} is built in and stays as it is")
    row = await _find(session, name)
    if row is None:
        raise NotFound("role", f"there is no role {name!r}")
    return row


def _shown(row: AccessRole) -> dict[str, Any]:
    made = plain("created_at", row.created_at)
    return {"name": row.name, "permissions": row.permissions, "built_in": False, "created_at": made}
