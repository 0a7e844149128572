"""What `dcx doctor` says of the outbox: whether it empties, what died, what waits for want of a mail server."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, literal_column
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services.doctor import Finding, existing
from dcx_ari.settings import Settings
from dcx_ari.store.models import JobRun, OutboxRow, WebhookEndpoint

_LATE_MS = 300_000
_ROW = OutboxRow


async def outbox(settings: Settings) -> Sequence[Finding]:
    with existing(settings) as opened:
        if opened is None:
            return [Finding("ok", "nothing to tell anybody yet")]
        try:
            async with opened.read() as session:
                found = [
                    *await _messages(session, now_ms(), settings),
                    *await _endpoints(session),
                    *await _jobs(session),
                ]
        finally:
            await opened.close()
    return found or [Finding("ok", "everything was delivered")]


async def _messages(session: AsyncSession, now: int, settings: Settings) -> list[Finding]:
    found = []
    pending = col(_ROW.state) == literal_column("'pending'")
    mails = await _count(session, pending, col(_ROW.kind) == "email")
    if mails and not settings.smtp_url:
        mend = "Set DCX_SMTP_URL and DCX_MAIL_FROM, or let go: dcx outbox discard ID"
        found.append(Finding("warning", f"{mails} mails wait: no SMTP server is set", mend))
    late = await _count(session, pending, col(_ROW.next_at) < now - _LATE_MS, col(_ROW.attempts) == 0)
    if late and not (mails and not settings.smtp_url):
        found.append(
            Finding("warning", f"{late} messages wait for more than 5 minutes", "Is an engine running? dcx up")
        )
    if dead := await _count(session, col(_ROW.state) == "dead"):
        mend = "dcx outbox list --state dead says why; dcx outbox retry --dead sends them again."
        found.append(Finding("warning", f"{dead} messages could not be delivered", mend))
    return found


async def _endpoints(session: AsyncSession) -> list[Finding]:
    rows = (await session.exec(select(WebhookEndpoint).order_by(col(WebhookEndpoint.id)))).all()
    off = [row for row in rows if row.status != "ACTIVE" and row.disabled_reason]
    return [
        Finding("warning", f"webhook {row.id} is off: {row.disabled_reason}", f"dcx webhooks resume {row.id}")
        for row in off
    ]


async def _jobs(session: AsyncSession) -> list[Finding]:
    rows = (await session.exec(select(JobRun).where(col(JobRun.error).is_not(None)).order_by(col(JobRun.name)))).all()
    return [Finding("wrong", f"the job {row.name} failed: {row.error}", "The engine's log says where.") for row in rows]


async def _count(session: AsyncSession, *where: object) -> int:
    query = select(func.count()).select_from(_ROW).where(*where)  # type: ignore[arg-type]
    return int((await session.exec(query)).one())
