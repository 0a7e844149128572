"""Invitations: a link by e-mail, with which somebody makes himself a user.

The token has 256 random bits (64 characters), is good for seven days and once, and only its hash is kept here; the
mail that waits in the outbox holds the link until it is sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, NotFound
from dcx_ari.services.holder import Holder
from dcx_ari.services.keys import hash_key, resolve_scope
from dcx_ari.services.parse import parse_fields
from dcx_ari.services.render import plain
from dcx_ari.services.roles import check_grant
from dcx_ari.services.users import create_user
from dcx_ari.store.mail import Mail, put_mail
from dcx_ari.store.models import Invitation, User
from dcx_ari.store.models.users import UserFields

GOOD_FOR_MS = 7 * 86_400_000
TOKEN_CHARS = 64
_TEXT = """{inviter} invites you to DCX, as {role}.

To accept, choose a password here within seven days:
{link}

If you did not expect this, ignore it: nothing happens without the link.
"""
_COLUMNS = (
    *("id", "email", "role", "invited_by", "status", "buyer_id", "traffic_source_id", "expires_at", "created_at"),
)


async def invite(
    session: AsyncSession, fields: Mapping[str, Any], base_url: str, *, giver: Holder | None = None
) -> tuple[dict[str, Any], str]:
    """The invitation and its link; the mail is put into the outbox. Raises Invalid, Conflict, Forbidden.

    `fields` are `email`, `role`, and perhaps `buyer_id` or `traffic_source_id`. An older invitation to the same
    address ends.
    """
    data = dict(fields)
    await resolve_scope(session, data)
    values = parse_fields(UserFields, data, strict=True)
    await check_grant(session, values["role"], giver)
    email = values["email"]
    if (await session.exec(select(User.id).where(col(User.email) == email))).first() is not None:
        raise Conflict("email", f"{email} is a user already")
    older = (col(Invitation.email) == email) & (col(Invitation.status) == "pending")
    await session.exec(update(Invitation).where(older).values(status="expired"))
    token, now = secrets.token_hex(TOKEN_CHARS // 2), now_ms()
    actor = session.info.get("actor", audit.SYSTEM)
    row = Invitation(
        email=email,
        role=values["role"],
        token_hash=hash_key(token),
        invited_by=actor.name,
        buyer_id=values["buyer_id"],
        traffic_source_id=values["traffic_source_id"],
        expires_at=now + GOOD_FOR_MS,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    link = f"{base_url.rstrip('/')}/api/invitations/{token}/accept"
    text = _TEXT.format(inviter=actor.name, role=row.role, link=link)
    await put_mail(session, Mail(to=[email], subject="Your invitation to DCX", text=text), event="invitation")
    await audit.record(session, "invitation.created", "invitation", row.id, None, shown(row))
    return shown(row), link


async def list_invitations(session: AsyncSession) -> list[dict[str, Any]]:
    return [shown(row) for row in (await session.exec(select(Invitation).order_by(col(Invitation.id)))).all()]


async def open_invitation(session: AsyncSession, token: str, *, lock: bool = False) -> Invitation:
    """Raises NotFound for one that is not there, was accepted, taken back, or is too old."""
    row = None
    if len(token) == TOKEN_CHARS and token.isascii() and token.isalnum():
        query = select(Invitation).where(col(Invitation.token_hash) == hash_key(token))
        row = (await session.exec(query.with_for_update() if lock else query)).first()
    if row is None or _status(row) != "pending":
        raise NotFound("invitation", "there is none with this link, or it is used or too old: ask for a new one")
    return row


async def accept(session: AsyncSession, token: str, name: str, password_hash: str) -> dict[str, Any]:
    """Makes the user. Raises NotFound, Invalid, Conflict."""
    row = await open_invitation(session, token, lock=True)
    row.status = "accepted"
    session.add(row)
    await session.flush()
    fields = {
        "email": row.email,
        "name": name,
        "role": row.role,
        "buyer_id": row.buyer_id,
        "traffic_source_id": row.traffic_source_id,
    }
    user = await create_user(session, fields, password_hash=password_hash, strict=True)
    await audit.record(session, "invitation.accepted", "invitation", row.id, None, {"user_id": user["id"]})
    return user


async def take_back(session: AsyncSession, invitation_id: int) -> dict[str, Any]:
    """The link stops working. Raises NotFound, Conflict."""
    row = await session.get(Invitation, invitation_id)
    if row is None:
        raise NotFound("invitation", f"there is no invitation {invitation_id}")
    if row.status == "accepted":
        raise Conflict("invitation", "was accepted: remove the user instead")
    row.status = "expired"
    session.add(row)
    await session.flush()
    await audit.record(session, "invitation.taken_back", "invitation", row.id, None, {"email": row.email})
    return shown(row)


def shown(row: Invitation) -> dict[str, Any]:
    return {**{name: plain(name, getattr(row, name)) for name in _COLUMNS}, "status": _status(row)}


def _status(row: Invitation) -> str:
    return "expired" if row.status == "pending" and row.expires_at <= now_ms() else row.status
