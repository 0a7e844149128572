"""Reminders of callbacks: by webhook, Slack and mail, once each."""

from __future__ import annotations

from sqlalchemy import and_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.callback_list import shown
from dcx_ari.store.db import Database
from dcx_ari.store.mail import BadMail, Mail, address, put_mail
from dcx_ari.store.models import User
from dcx_ari.store.models.callbacks import OPEN, Callback
from dcx_ari.store.outbox import tell

REMIND_MS = 30 * 60_000
_LOOK_MS = 30_000
_AT_ONCE = 100


async def remind_job(database: Database, now: int) -> int:
    """Tell of everything that is due within half an hour; when to look again. Both times epoch ms."""
    while True:
        async with database.write() as session:
            if await remind(session, now) < _AT_ONCE:
                return now + _LOOK_MS


async def remind(session: AsyncSession, now: int) -> int:
    """Tell of what is due within half an hour and was not told of; how many.

    In one transaction with the mark that it was told, so that it is told once whoever runs this.
    """
    due = and_(
        col(Callback.status).in_(OPEN), col(Callback.due_at) <= now + REMIND_MS, col(Callback.reminded_at).is_(None)
    )
    found = select(Callback).where(due).order_by(col(Callback.due_at), col(Callback.id)).limit(_AT_ONCE)
    rows = (await session.exec(found.with_for_update())).all()
    for row in rows:
        await _tell(session, row, now)
        row.reminded_at = now
    await session.flush()
    return len(rows)


async def _tell(session: AsyncSession, row: Callback, now: int) -> None:
    [seen] = await shown(session, [row], now)
    data = {name: seen[name] for name in _TOLD}
    await tell(session, "callback.due", data, at_ms=now, dedupe_key=f"callback/{row.id}/{row.due_at}")
    to = await _mailbox(session, row.assigned_to)
    if to is None:
        return
    late = row.due_at <= now
    lines = [
        f"Call {row.phone_number} {'now: it is overdue' if late else 'at ' + seen['due_at']}.",
        f"Priority: {row.priority}.",
        *([f"Campaign: {seen['campaign']}."] if seen["campaign"] else []),
        *([row.notes] if row.notes else []),
        f"When it is done: dcx callbacks complete {row.id} --outcome …",
    ]
    mail = Mail(to=[to], subject=f"Callback {row.phone_number} is due", text="\n".join(lines))
    await put_mail(session, mail, dedupe_key=f"callback/{row.id}/{row.due_at}/mail")


_TOLD = (
    *("id", "phone_number", "due_at", "priority", "assigned_to", "status", "notes", "call_id", "campaign_id"),
    "retry",
)


async def _mailbox(session: AsyncSession, name: str | None) -> str | None:
    """Where to reach whoever it is assigned to: an address, or a user of that name."""
    if name is None:
        return None
    if "@" not in name:
        return (await session.exec(select(User.email).where(col(User.name) == name).order_by(col(User.id)))).first()
    try:
        return address(name)
    except BadMail:
        return None
