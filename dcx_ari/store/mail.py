"""Mail on its way out: checked at the door, kept in the outbox until an SMTP server has taken it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.outbox import put

MAX_RECIPIENTS = 50
MAX_TEXT = 500_000
MAX_ATTACHED = 2 * 1024 * 1024
"""Bytes of all attachments that are kept in the row; a bigger one is given as a path."""

_SUBTYPE = str.maketrans("", "", "-.+_")

Attachment = tuple[str, str, bytes | PurePath]
"""File name, media type, content; a path is relative to the home directory and read when the mail is sent."""


class BadMail(ValueError):
    """The mail cannot be sent as it is; the text names the field and the rule."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail; every recipient sees the others. `text` is the plain form, always there."""

    to: Sequence[str]
    subject: str
    text: str
    html: str | None = None
    attachments: Sequence[Attachment] = ()


def address(value: str) -> str:
    """The address, its domain in ASCII. Raises BadMail. A name beside it ("Ann <ann@…>") is refused."""
    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise BadMail(f"to: {value[:100]!r} is not an e-mail address: {error}") from None
    return f"{found.ascii_local_part}@{found.ascii_domain}"


def one_line(text: str) -> str:
    """A header's value: what could end its line becomes a space."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


async def put_mail(
    session: AsyncSession,
    mail: Mail,
    *,
    dedupe_key: str | None = None,
    not_before: int | None = None,
    event: str = "mail",
) -> str | None:
    """Put a mail into the outbox, in the session's transaction; the row's id, or None where `dedupe_key` is taken.

    Raises BadMail; nothing is written then.
    """
    return await put(session, "email", payload(mail), dedupe_key=dedupe_key, not_before=not_before, event=event)


def payload(mail: Mail) -> dict[str, Any]:
    """The mail as JSON values. Raises BadMail."""
    to = list(dict.fromkeys(address(each) for each in mail.to))
    if not 1 <= len(to) <= MAX_RECIPIENTS:
        raise BadMail(f"to: needs 1 to {MAX_RECIPIENTS} addresses")
    if max(len(mail.text), len(mail.html or "")) > MAX_TEXT:
        raise BadMail(f"text: must not be longer than {MAX_TEXT} characters")
    if sum(len(each[2]) for each in mail.attachments if isinstance(each[2], bytes)) > MAX_ATTACHED:
        raise BadMail(f"attachments: must not be larger than {MAX_ATTACHED} bytes; give a path in the home directory")
    return {
        "to": to,
        "subject": one_line(mail.subject)[:250],
        "text": mail.text,
        "html": mail.html,
        "attachments": [_attachment(*each) for each in mail.attachments],
    }


def _attachment(name: str, media_type: str, content: bytes | PurePath) -> Mapping[str, str]:
    shown = one_line(name).replace("/", "_").replace("\\", "_")[:100] or "file"
    main, _, sub = media_type.partition("/")
    if not (main.isascii() and main.isalnum() and sub.isascii() and sub.translate(_SUBTYPE).isalnum()):
        raise BadMail(f"attachments: {media_type[:50]!r} is not a media type such as text/csv")
    if isinstance(content, bytes):
        return {"name": shown, "type": media_type, "data": base64.b64encode(content).decode("ascii")}
    if content.is_absolute() or ".." in content.parts:
        raise BadMail("attachments: a path must be relative to the home directory, and inside it")
    return {"name": shown, "type": media_type, "path": str(content)}
