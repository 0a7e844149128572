"""Sending mail over SMTP. What goes into the outbox is made in `store.mail`."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from dcx_ari.integrations.results import Result
from dcx_ari.store.mail import BadMail, Mail, address, put_mail

__all__ = ["BadMail", "Mail", "MailSender", "SmtpServer", "put_mail"]

TIMEOUT_S = 30.0
_MAX_FILE = 20 * 1024 * 1024
_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
NOT_SET = "no SMTP server is set: DCX_SMTP_URL and DCX_MAIL_FROM"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over. `tls`: from the first byte; `starttls`: True demands it, None takes it if offered."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    starttls: bool | None = None


def parse_server(url: str) -> SmtpServer:
    """`smtp://user:password@host:port`, `smtps://…`, `smtp+starttls://…`. Raises ValueError with the rule.

    With a password, TLS is demanded of every host but this one: a server in between could leave STARTTLS out.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(
            "must be smtp://, smtps:// or smtp+starttls:// with a host, such as smtps://user:secret@host:465"
        )
    port = parts.port or _PORTS[parts.scheme]
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    demanded = parts.scheme == "smtp+starttls" or (bool(password) and not _is_loopback(parts.hostname))
    starttls = False if parts.scheme == "smtps" else (True if demanded else None)
    return SmtpServer(parts.hostname, port, user, password, parts.scheme == "smtps", starttls)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class MailSender:
    """Sends rows of the outbox. `home` is where attached files lie; `server` None: none is set, mail waits."""

    server: SmtpServer | None
    sender: str
    home: Path

    async def send(
        self, message_id: str, payload: str, created_ms: int, already: Mapping[str, str] | None = None
    ) -> Result:
        """Hand the mail over for every address that does not have it yet (`already`: what became of each before).

        The mail is the same, letter for letter, at each attempt.
        """
        if self.server is None or not self.sender:
            return Result(False, error=NOT_SET, waiting=True)
        mail = json.loads(payload)
        states = {to: (already or {}).get(to, "waiting") for to in mail["to"]}
        left = [to for to, state in states.items() if not state.startswith(("sent", "refused"))]
        began = time.monotonic()
        try:
            content = await asyncio.to_thread(self._build, mail, message_id, created_ms)
        except (OSError, BadMail, ValueError) as reason:
            return Result(False, error=f"cannot be made: {reason}", final=True, recipients=states)
        status, text, error = await self._hand_over(self.server, left, content, states)
        took_ms = round((time.monotonic() - began) * 1000)
        open_ones = [to for to, state in states.items() if state.startswith("waiting")]
        sent = [to for to, state in states.items() if state.startswith("sent")]
        refused = [to for to, state in states.items() if state.startswith("refused")]
        if not open_ones and error is None and refused:
            error = f"refused: {', '.join(refused)}"
        return Result(
            ok=not open_ones and bool(sent),
            status=status,
            error=error,
            answer=text[:500],
            took_ms=took_ms,
            final=not open_ones,
            recipients=states,
        )

    async def _hand_over(
        self, server: SmtpServer, to: Sequence[str], content: bytes, states: dict[str, str]
    ) -> tuple[int | None, str, str | None]:
        """Status, the server's words, and what went wrong; writes into `states` what became of each address."""
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls,
            start_tls=server.starttls,
            timeout=TIMEOUT_S,
        )
        try:
            async with asyncio.timeout(2 * TIMEOUT_S), smtp:
                errors, text = await smtp.sendmail(_bare(self.sender), list(to), content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusals = {each.recipient: (each.code, each.message) for each in error.recipients}
            return self._note(to, refusals, states)
        except aiosmtplib.SMTPResponseException as error:
            if 500 <= error.code < 600 and isinstance(error, aiosmtplib.SMTPDataError | aiosmtplib.SMTPSenderRefused):
                states.update(dict.fromkeys(to, f"refused: {error.code} {_short(error.message)}"))
            return error.code, str(error.message), f"{error.code} {_short(error.message)}"
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return None, "", f"{server.host}:{server.port}: {str(error) or 'no answer in time'}"[:300]
        refusals = {name: (each.code, each.message) for name, each in errors.items()}
        status, _, problem = self._note(to, refusals, states)
        return status or 250, text, problem

    @staticmethod
    def _note(
        to: Sequence[str], refusals: Mapping[str, tuple[int, str]], states: dict[str, str]
    ) -> tuple[int | None, str, str | None]:
        status, words = None, ""
        for name in to:
            if name not in refusals:
                states[name] = "sent"
                continue
            status, words = refusals[name]
            states[name] = f"{'refused' if status >= 500 else 'waiting'}: {status} {_short(words)}"
        return status, words, f"{status} {_short(words)}" if status is not None else None

    def _build(self, mail: Mapping[str, Any], message_id: str, created_ms: int) -> bytes:
        """The mail as bytes. Raises OSError, BadMail, ValueError."""
        message = EmailMessage(policy=SMTP_POLICY)  # refuses line ends in headers
        message["From"] = self.sender
        message["To"] = ", ".join(mail["to"])
        message["Subject"] = mail["subject"]
        message["Date"] = datetime.fromtimestamp(created_ms / 1000, UTC)
        message["Message-ID"] = f"<{message_id}@{_bare(self.sender).rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail["text"])
        if mail.get("html"):
            message.add_alternative(mail["html"], subtype="html")
        for each in mail["attachments"]:
            main, _, sub = each["type"].partition("/")
            message.add_attachment(self._content(each), maintype=main, subtype=sub, filename=each["name"])
        for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
            part.set_boundary(f"=_{message_id}_{number}")  # not drawn anew at each attempt
        return message.as_bytes()

    def _content(self, attachment: Mapping[str, str]) -> bytes:
        if "data" in attachment:
            return base64.b64decode(attachment["data"])
        path = (self.home / attachment["path"]).resolve()
        if not path.is_relative_to(self.home.resolve()) or not path.is_file():
            raise BadMail(f"attachment {attachment['path']} is not a file in the home directory")
        if path.stat().st_size > _MAX_FILE:
            raise BadMail(f"attachment {attachment['path']} is larger than {_MAX_FILE} bytes")
        return path.read_bytes()


def mail_sender(url: str, sender: str, home: Path) -> MailSender:
    """From the settings; an empty URL makes one that waits. Raises ValueError."""
    return MailSender(parse_server(url) if url else None, sender, home)


def _bare(sender: str) -> str:
    """`DCX <dcx@example.com>` -> `dcx@example.com`."""
    return sender[sender.rindex("<") + 1 : sender.rindex(">")] if sender.endswith(">") and "<" in sender else sender


def check_sender(sender: str) -> None:
    """Raises ValueError with the rule."""
    try:
        address(_bare(sender))
    except BadMail as error:
        raise ValueError("must be an address such as dcx@example.com, or Name <dcx@example.com>") from error
    if not sender.isprintable():
        raise ValueError("must be one line")


def _short(words: str) -> str:
    return " ".join(str(words).split())[:200]
