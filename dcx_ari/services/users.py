"""Users: made, listed, changed, removed; and what they want to be told.

`giver` is who asks for it over the API: nobody makes, changes or takes over a user who may do more than he
himself. None is the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.holder import Holder
from dcx_ari.services.keys import resolve_scope
from dcx_ari.services.parse import parse_fields, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.roles import check_grant
from dcx_ari.services.unique import flush
from dcx_ari.store.models import NotificationPreference, User, UserSession
from dcx_ari.store.models.users import UserFields

PREFERENCES = tuple(name for name in NotificationPreference.model_fields if name != "user_id")
_COLUMNS = (
    *("id", "email", "name", "role", "status", "buyer_id", "traffic_source_id"),
    *("created_at", "updated_at", "last_login_at"),
)


async def list_users(session: AsyncSession) -> list[dict[str, Any]]:
    return [shown(row) for row in (await session.exec(select(User).order_by(col(User.id)))).all()]


async def find_user(session: AsyncSession, key: str | int) -> User:
    """By id or e-mail address. Raises NotFound."""
    text = str(key).strip().lower()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    query = select(User).where((col(User.id) == number) | (col(User.email) == text))
    row = (await session.exec(query)).first() if text.isprintable() else None
    if row is None:
        raise NotFound("user", f"there is no user {str(key)!r}")
    return row


async def create_user(
    session: AsyncSession,
    fields: Mapping[str, Any],
    *,
    password_hash: str | None = None,
    giver: Holder | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Raises Invalid, Conflict, Forbidden. Without a password the user cannot log in yet."""
    values = await _values(session, fields, None, giver, strict=strict)
    now = now_ms()
    row = User(**values, password_hash=password_hash, created_at=now, updated_at=now)
    session.add(row)
    await flush(session, "email")
    session.add(NotificationPreference(user_id=row.id or 0))
    await session.flush()
    await audit.record(session, "user.created", "user", row.id, None, shown(row))
    return shown(row)


async def change_user(
    session: AsyncSession,
    key: str | int,
    changes: Mapping[str, Any],
    *,
    giver: Holder | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Set the fields given. Who becomes inactive is logged out. Raises NotFound, Invalid, Conflict, Forbidden."""
    row = await find_user(session, key)
    await check_grant(session, row.role, giver)
    before = {name: getattr(row, name) for name in UserFields.model_fields}
    values = await _values(session, {**before, **changes}, row.id, giver, strict=strict)
    if changed := {name: value for name, value in values.items() if value != before[name]}:
        for name, value in changed.items():
            setattr(row, name, value)
        row.updated_at = now_ms()
        session.add(row)
        await flush(session, "email")
        if row.status != "ACTIVE":
            await end_sessions(session, row.id or 0)
        await audit.record(session, "user.updated", "user", row.id, before, {**before, **changed})
    return shown(row)


async def remove_user(session: AsyncSession, key: str | int, *, giver: Holder | None = None) -> dict[str, Any]:
    """Sessions and preferences go too. Raises NotFound, Forbidden."""
    row = await find_user(session, key)
    await check_grant(session, row.role, giver)
    gone = shown(row)
    await session.exec(delete(User).where(col(User.id) == row.id))
    await audit.record(session, "user.deleted", "user", row.id, gone, None)
    return gone


async def set_password(
    session: AsyncSession,
    key: str | int,
    password_hash: str,
    *,
    giver: Holder | None = None,
    keep_session: int | None = None,
) -> dict[str, Any]:
    """A new password; all logins but `keep_session` end. Raises NotFound, Forbidden."""
    row = await find_user(session, key)
    await check_grant(session, row.role, giver)
    row.password_hash, row.updated_at = password_hash, now_ms()
    session.add(row)
    await session.flush()
    await end_sessions(session, row.id or 0, keep=keep_session)
    await audit.record(session, "user.password_set", "user", row.id)
    return shown(row)


async def end_sessions(session: AsyncSession, user_id: int, *, keep: int | None = None) -> None:
    ended = (col(UserSession.user_id) == user_id) & (col(UserSession.id) != (keep or 0))
    await session.exec(delete(UserSession).where(ended))


async def preferences(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """What a user wants to be told. Raises NotFound."""
    row = await _preference(session, await find_user(session, key))
    return {"user_id": row.user_id, **{name: getattr(row, name) for name in PREFERENCES}}


async def set_preferences(session: AsyncSession, key: str | int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Raises NotFound, Invalid."""
    row = await _preference(session, await find_user(session, key))
    before = {name: getattr(row, name) for name in PREFERENCES}
    for name, value in changes.items():
        if name not in PREFERENCES:
            raise Invalid(name, f"is not a preference{suggest(name, PREFERENCES)}")
        if not isinstance(value, bool):
            raise Invalid(name, "must be true or false")
        setattr(row, name, value)
    after = {name: getattr(row, name) for name in PREFERENCES}
    if after != before:
        session.add(row)
        await session.flush()
        await audit.record(session, "notification_preferences.updated", "user", row.user_id, before, after)
    return {"user_id": row.user_id, **after}


def shown(row: User) -> dict[str, Any]:
    """All but the password's hash."""
    values = {name: plain(name, getattr(row, name)) for name in _COLUMNS}
    return {**values, "has_password": row.password_hash is not None}


async def _preference(session: AsyncSession, user: User) -> NotificationPreference:
    row = await session.get(NotificationPreference, user.id)
    return row if row is not None else NotificationPreference(user_id=user.id or 0)


async def _values(
    session: AsyncSession, given: Mapping[str, Any], row_id: int | None, giver: Holder | None, *, strict: bool
) -> dict[str, Any]:
    data = dict(given)
    if unknown := sorted(set(data) - set(UserFields.model_fields)):
        raise Invalid(unknown[0], f"is not a field of users{suggest(unknown[0], UserFields.model_fields)}")
    await resolve_scope(session, data)
    values = parse_fields(UserFields, data, strict=strict)
    await check_grant(session, values["role"], giver)
    same = select(User.id).where(col(User.email) == values["email"], col(User.id) != (row_id or 0))
    if (await session.exec(same)).first() is not None:
        raise Conflict("email", f"{values['email']} is taken by another user")
    return values
