"""Webhook endpoints: made, changed, tried, their secrets rotated. The secret is shown once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NewType, get_args
from urllib.parse import urlsplit

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.decide.events import EVENTS, EVERY
from dcx_ari.decide.signature import SECRET_BYTES, new_secret, secret_bytes
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Invalid, NotFound, Stale
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.render import plain
from dcx_ari.store.models import ConfigVersion, WebhookEndpoint
from dcx_ari.store.models.webhooks import EndpointFormat
from dcx_ari.store.outbox import messages_for, write
from dcx_ari.store.receivers import Receiver
from dcx_ari.store.targets import Targets as Targets
from dcx_ari.store.targets import UnsafeUrl, networks

KIND = "webhook"
MAX_ENDPOINTS = 100
GRACE_S = 86_400
MAX_GRACE_S = 7 * 86_400
_SHOWN = (
    *("id", "url", "events", "format", "description", "status", "version", "created_at", "updated_at"),
    *("failing_since", "disabled_reason"),
)
TEST = "webhook.test"


SafeUrl = NewType("SafeUrl", str)
"""A URL that `safe_url` has let through."""


def targets_of(allow: str) -> Targets:
    """Public addresses and those of the setting DCX_WEBHOOK_ALLOW."""
    return Targets(networks(allow))


async def safe_url(targets: Targets, url: str) -> SafeUrl:
    """The URL, if messages may go there. Looks its name up, so it is asked before a transaction begins, not in one.

    Raises Invalid.
    """
    try:
        await targets.check(url)
    except UnsafeUrl as error:
        raise Invalid("url", str(error)) from None
    return SafeUrl(url)


async def create(
    session: AsyncSession,
    url: SafeUrl,
    events: Sequence[str],
    *,
    kind: str = "standard",
    description: str = "",
    secret: str | None = None,
) -> tuple[dict[str, Any], str | None]:
    """The row's values, and its secret (None for Slack), which cannot be read again. Raises Invalid, Conflict.

    The URL of a Slack webhook is itself the secret: only its host is kept where it can be read.
    """
    form: EndpointFormat = "slack" if kind == "slack" else "standard"
    if kind != form:
        raise Invalid("format", f"must be one of {', '.join(get_args(EndpointFormat))}")
    if len((await session.exec(select(WebhookEndpoint.id))).all()) >= MAX_ENDPOINTS:
        raise Conflict("url", f"there are {MAX_ENDPOINTS} endpoints already")
    now = now_ms()
    row = WebhookEndpoint(
        url="",
        events=checked_events(events),
        format=form,
        description=_description(description),
        secret="" if kind == "slack" else checked_secret(secret),
        created_at=now,
        updated_at=now,
    )
    _set_url(row, url)
    session.add(row)
    await _count_up(session, now)
    made = shown(row)
    await audit.record(session, f"{KIND}.created", KIND, row.id, None, made)
    return made, None if kind == "slack" else row.secret


async def change(
    session: AsyncSession,
    key: str | int,
    data: Mapping[str, Any],
    *,
    version: int | None = None,
    action: str = "updated",
) -> dict[str, Any]:
    """Set url (a SafeUrl), events, description or status. To resume one forgets why it was switched off.

    Raises Invalid, NotFound, Stale.
    """
    row = await _find(session, key)
    if version is not None and version != row.version:
        raise Stale("version", f"is {row.version} now, not {version}: read it again")
    before = shown(row)
    for name, value in data.items():
        if name == "url":
            _set_url(row, value)
        elif name == "events":
            row.events = checked_events(value)
        elif name == "description":
            row.description = _description(value)
        elif name == "status":
            _set_status(row, value)
        else:
            raise Invalid(name, "is not a field of webhooks that can be changed")
    if (after := shown(row)) != before or "url" in data:
        row.version += 1
        row.updated_at = now_ms()
        session.add(row)
        await _count_up(session, row.updated_at)
        await audit.record(session, f"{KIND}.{action}", KIND, row.id, before, after)
    return shown(row)


async def set_paused(session: AsyncSession, key: str | int, paused: bool) -> dict[str, Any]:
    """Paused: nothing new is written for it; what waits goes out when it is resumed."""
    status, action = ("INACTIVE", "paused") if paused else ("ACTIVE", "resumed")
    return await change(session, key, {"status": status}, action=action)


async def remove(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """Remove an endpoint; what waits for it dies. Raises NotFound."""
    row = await _find(session, key)
    gone = shown(row)
    await session.exec(delete(WebhookEndpoint).where(col(WebhookEndpoint.id) == row.id))
    await _count_up(session, now_ms())
    await audit.record(session, f"{KIND}.deleted", KIND, gone["id"], gone, None)
    return gone


async def rotate(session: AsyncSession, key: str | int, grace_s: int = GRACE_S) -> tuple[dict[str, Any], str]:
    """A new secret; for `grace_s` seconds the old one signs beside it. Raises Invalid, NotFound."""
    row = await _find(session, key)
    if row.format != "standard":
        raise Invalid("secret", "Slack webhooks have none: set a new url")
    if not 0 <= grace_s <= MAX_GRACE_S:
        raise Invalid("grace_s", f"must be 0 to {MAX_GRACE_S}")
    now = now_ms()
    row.old_secret, row.old_until = (row.secret, now + grace_s * 1000) if grace_s else (None, None)
    row.secret = checked_secret(None)
    row.version += 1
    row.updated_at = now
    session.add(row)
    await session.flush()
    await audit.record(
        session, f"{KIND}.rotated", KIND, row.id, None, {"old_works_until": plain("old_at", row.old_until)}
    )
    return shown(row), row.secret


async def send_test(session: AsyncSession, key: str | int) -> str:
    """Put a test event for this one endpoint into the outbox; its id. Raises Conflict while it is paused."""
    row = await _find(session, key)
    if row.status != "ACTIVE":
        raise Conflict("status", "the endpoint is paused: resume it first")
    receiver = Receiver(str(row.id), row.format, (TEST,), endpoint_id=row.id)
    (message,) = messages_for([receiver], TEST, {"message": "This is a test."}, now_ms())
    await write(session, [message])
    await audit.record(session, f"{KIND}.tested", KIND, row.id)
    return message.id


def list_events() -> list[dict[str, str]]:
    """Every event, with what it means."""
    return [{"event": each.name, "help": each.help} for each in EVENTS.values()]


async def list_endpoints(session: AsyncSession) -> list[dict[str, Any]]:
    rows = (await session.exec(select(WebhookEndpoint).order_by(col(WebhookEndpoint.id)))).all()
    return [shown(row) for row in rows]


async def get(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """Raises NotFound."""
    return shown(await _find(session, key))


def shown(row: WebhookEndpoint) -> dict[str, Any]:
    """The row as JSON values, without its secret."""
    values = {name: plain(f"{name}_at" if name == "failing_since" else name, getattr(row, name)) for name in _SHOWN}
    rotating = row.old_secret is not None and (row.old_until or 0) > now_ms()
    return {**values, "old_secret_works_until": plain("old_at", row.old_until) if rotating else None}


def checked_events(events: Sequence[str]) -> list[str]:
    """Known events, each once; `call.*` for all of a kind, `*` for all. Raises Invalid."""
    names = [name for name in EVENTS if name != TEST]
    known = sorted({*names, *(f"{name.partition('.')[0]}.*" for name in names)})
    for name in events:
        if name != EVERY and name not in known:
            raise Invalid("events", f"{name!r} is not one of {', '.join(known)}, or *{suggest(name, known)}")
    if not events:
        raise Invalid("events", f"must name at least one of {', '.join(known)}, or *")
    return [EVERY] if EVERY in events else list(dict.fromkeys(events))


def checked_secret(secret: str | None) -> str:
    """A secret of the asker's own, or a new one. Raises Invalid."""
    if secret is None:
        return new_secret(secrets.token_bytes(SECRET_BYTES))
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise Invalid("secret", str(error)) from None
    return secret


def _set_url(row: WebhookEndpoint, url: SafeUrl) -> None:
    if row.format == "slack":
        row.secret, row.url = url, f"{urlsplit(url).scheme}://{urlsplit(url).hostname}/"
    else:
        row.url = url


def _set_status(row: WebhookEndpoint, status: str) -> None:
    if status not in ("ACTIVE", "INACTIVE"):
        raise Invalid("status", "must be one of ACTIVE, INACTIVE")
    if status == "ACTIVE" and row.status != "ACTIVE":
        row.failing_since = row.disabled_reason = None
    row.status = "ACTIVE" if status == "ACTIVE" else "INACTIVE"


def _description(text: str) -> str:
    check_text("description", text)
    if len(text) > 255:
        raise Invalid("description", "must not be longer than 255 characters")
    return text


async def _find(session: AsyncSession, key: str | int) -> WebhookEndpoint:
    text = str(key)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    row = await session.get(WebhookEndpoint, number)
    if row is None:
        raise NotFound("webhook", f"there is no webhook {text[:50]!r}")
    return row


async def _count_up(session: AsyncSession, at_ms: int) -> None:
    """Engines read anew who is told what."""
    await session.flush()
    await session.exec(update(ConfigVersion).values(version=ConfigVersion.version + 1, updated_at=at_ms))
