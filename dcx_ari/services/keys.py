"""API keys: made, listed, changed, rotated, revoked.

A key is 256 random bits, so its plain SHA-256 is kept: a slow hash protects guessable secrets, and nobody
guesses this one. The key is shown once, when it is made or rotated. `giver` is who asks for it over the API:
nobody makes or takes over a key that may do more than he himself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Forbidden, Invalid, NotFound
from dcx_ari.services.find import find_id
from dcx_ari.services.holder import Holder as Holder
from dcx_ari.services.parse import parse_fields, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.roles import check_grant
from dcx_ari.services.unique import flush
from dcx_ari.store.models import ApiKey
from dcx_ari.store.models.keys import KeyFields

PREFIX = "dcx_"
MAX_GRACE_S = 30 * 86_400
_SHOWN = len(PREFIX) + 6
_SCOPES = {"buyer_id": "buyers", "traffic_source_id": "sources"}
_COLUMNS = (
    *("id", "name", "prefix", "role", "rate_limit_per_minute", "allowed_ip_ranges", "buyer_id", "traffic_source_id"),
    *("created_at", "expires_at", "last_used_at", "last_used_ip", "revoked_at"),
)


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def new_secret(prefix: str = PREFIX) -> str:
    return prefix + secrets.token_urlsafe(32)


async def create_key(
    session: AsyncSession,
    name: str,
    role: str = "admin",
    *,
    giver: Holder | None = None,
    strict: bool = False,
    **fields: Any,
) -> tuple[dict[str, Any], str]:
    """The row's values, and the key itself, which cannot be read again. Raises Invalid, Conflict, Forbidden.

    `fields` are those of KeyFields; a buyer and a traffic source may be given by id or name.
    """
    values = await _values(session, {"name": name, "role": role, **fields}, None, giver, strict=strict)
    key = new_secret()
    row = ApiKey(**values, prefix=key[:_SHOWN], key_hash=hash_key(key), created_at=now_ms())
    session.add(row)
    await flush(session, "name")
    await audit.record(session, "api_key.created", "api_key", row.id, None, shown(row))
    return shown(row), key


async def list_keys(session: AsyncSession) -> list[dict[str, Any]]:
    rows = (await session.exec(select(ApiKey).order_by(col(ApiKey.id)))).all()
    return [shown(row) for row in rows]


async def change_key(
    session: AsyncSession,
    key: str | int,
    changes: Mapping[str, Any],
    *,
    giver: Holder | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Set the fields given. Raises NotFound, Invalid, Conflict, Forbidden."""
    row = await _alive(session, key)
    await check_grant(session, row.role, giver)
    before = {name: getattr(row, name) for name in KeyFields.model_fields}
    values = await _values(session, {**before, **changes}, row.id, giver, strict=strict)
    if changed := {name: value for name, value in values.items() if value != before[name]}:
        for name, value in changed.items():
            setattr(row, name, value)
        session.add(row)
        await flush(session, "name")
        await audit.record(session, "api_key.updated", "api_key", row.id, before, {**before, **changed})
    return shown(row)


async def rotate_key(
    session: AsyncSession, key: str | int, grace_s: int = 0, *, giver: Holder | None = None
) -> tuple[dict[str, Any], str]:
    """A new secret for the same key; the old one works for another `grace_s` seconds. Raises NotFound, Invalid."""
    if not 0 <= grace_s <= MAX_GRACE_S:
        raise Invalid("grace_s", f"must be 0 to {MAX_GRACE_S}")
    row = await _alive(session, key)
    await check_grant(session, row.role, giver)
    secret = new_secret()
    row.previous_hash = row.key_hash if grace_s else None
    row.previous_until = now_ms() + grace_s * 1000 if grace_s else None
    row.key_hash, row.prefix = hash_key(secret), secret[:_SHOWN]
    session.add(row)
    await session.flush()
    await audit.record(session, "api_key.rotated", "api_key", row.id, None, {"prefix": row.prefix, "grace_s": grace_s})
    return shown(row), secret


async def revoke_key(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """By id, name or shown prefix. Other processes notice within a second. Raises NotFound."""
    row = await find_key(session, key)
    if row.revoked_at is None:
        row.revoked_at = now_ms()
        row.previous_hash = row.previous_until = None
        session.add(row)
        await session.flush()
        await audit.record(session, "api_key.revoked", "api_key", row.id, None, {"name": row.name})
    return shown(row)


async def find_key(session: AsyncSession, key: str | int) -> ApiKey:
    """By id, name or shown prefix. Raises NotFound."""
    text = str(key)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    query = select(ApiKey).where((col(ApiKey.id) == number) | (col(ApiKey.name) == text) | (col(ApiKey.prefix) == text))
    row = None if "\x00" in text or not text.isprintable() else (await session.exec(query)).first()
    if row is None:
        raise NotFound("key", f"there is no key {text!r}")
    return row


async def _alive(session: AsyncSession, key: str | int) -> ApiKey:
    row = await find_key(session, key)
    if row.revoked_at is not None:
        raise Conflict("key", f"{row.name} is revoked: make a new one")
    return row


async def _values(
    session: AsyncSession, given: Mapping[str, Any], row_id: int | None, giver: Holder | None, *, strict: bool
) -> dict[str, Any]:
    data = dict(given)
    if unknown := sorted(set(data) - set(KeyFields.model_fields)):
        raise Invalid(unknown[0], f"is not a field of keys{suggest(unknown[0], KeyFields.model_fields)}")
    await resolve_scope(session, data)
    values = parse_fields(KeyFields, data, strict=strict)
    await check_grant(session, values["role"], giver)
    if values["rate_limit_per_minute"] == 0 and giver is not None and "*" not in giver.permissions:
        raise Forbidden("rate_limit_per_minute", "0 (no limit) is given by administrators only")
    if values["expires_at"] is not None and values["expires_at"] <= now_ms() and row_id is None:
        raise Invalid("expires_at", "must be in the future")
    same = select(ApiKey.id).where(col(ApiKey.name) == values["name"], col(ApiKey.id) != (row_id or 0))
    if (await session.exec(same)).first() is not None:
        raise Conflict("name", f"{values['name']!r} is taken by another key")
    return values


async def resolve_scope(session: AsyncSession, data: dict[str, Any]) -> None:
    """Names of a buyer and a traffic source become ids. Raises Invalid; both at once are refused."""
    for column, kind in _SCOPES.items():
        wanted = data.get(column)
        if wanted is None:
            continue
        resource = RESOURCES[kind]
        if isinstance(wanted, bool) or not isinstance(wanted, (int, str)):
            raise Invalid(column, f"must be the id or the name of a {resource.singular}")
        data[column] = await find_id(session, resource, wanted)
        if data[column] is None:
            raise Invalid(column, f"there is no {resource.singular} {wanted!r}")
    if all(data.get(column) is not None for column in _SCOPES):
        raise Invalid("buyer_id", "and traffic_source_id cannot both be given")


def shown(row: ApiKey) -> dict[str, Any]:
    """What may be seen of a key: all but its hashes."""
    old_until = plain("previous_at", row.previous_until)
    return {**{name: plain(name, getattr(row, name)) for name in _COLUMNS}, "old_key_works_until": old_until}
