"""Writing to the outbox: in the transaction of the fact that is told.

`put` is for services, which have a session; `statement` gives the same rows as SQL for the calls' journal and the
ledger. Who delivers is `dcx_ari.outbox`, in whichever process holds the lease.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.events import envelope
from dcx_ari.decide.words import in_words, mail_text, slack_text
from dcx_ari.store.models.outbox import OutboxKind, OutboxRow
from dcx_ari.store.receivers import Receiver, receivers

Statement = tuple[str, Sequence[Sequence[Any]]]

MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes of one row: bigger attachments are given as a path."""
_COLUMNS = (
    *("id", "kind", "event", "endpoint_id", "call_id", "order_key", "dedupe_key", "payload", "created_at", "next_at"),
)
_INSERT = (
    f"INSERT INTO outbox ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 — ours
    "ON CONFLICT DO NOTHING"  # on the id too: tried again after a commit whose answer was lost
)
_KINDS: Mapping[str, OutboxKind] = {"standard": "webhook", "slack": "slack", "email": "email"}
TOLD = "outbox"
"""Key of `session.info`: the transaction wrote rows, so whoever delivers is woken when it has committed."""


class TooLarge(ValueError):
    """The payload does not fit into a row."""


def message_id() -> str:
    """`msg_` and 144 random bits: unique, guessed by nobody, without a dot (Standard Webhooks)."""
    return f"msg_{secrets.token_hex(18)}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One row to write. `payload` is JSON text; times are epoch ms."""

    kind: OutboxKind
    payload: str
    event: str = ""
    endpoint_id: int | None = None
    call_id: str | None = None
    order_key: str | None = None
    dedupe_key: str | None = None
    created_at: int = field(default_factory=now_ms)
    next_at: int = 0
    id: str = field(default_factory=message_id)

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD:
            raise TooLarge(f"a message must not be larger than {MAX_PAYLOAD} bytes")

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _COLUMNS}


def to_text(value: Mapping[str, Any]) -> str:
    """JSON as it is sent: compact, keys in the order given. What is not Unicode (half a surrogate) becomes `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode("utf-8")


def statement(messages: Iterable[Message]) -> Statement:
    """The rows as SQL with `?` parameters. One whose `dedupe_key` is there already is left out."""
    return _INSERT, [tuple(message.values().values()) for message in messages]


def messages_for(
    receivers: Iterable[Receiver],
    event: str,
    data: Mapping[str, Any],
    at_ms: int,
    *,
    call_id: str | None = None,
    order_key: str | None = None,
    dedupe_key: str | None = None,
) -> list[Message]:
    """One message to each receiver that wants the event. Both keys are made each receiver's own."""
    return [
        Message(
            kind=_KINDS[each.format],
            payload=_payload(each, event, data, at_ms),
            event=event,
            endpoint_id=each.endpoint_id,
            call_id=call_id,
            order_key=f"{order_key}/{each.key}" if order_key and each.format != "email" else None,
            dedupe_key=f"{dedupe_key}/{each.key}" if dedupe_key else None,
            created_at=at_ms,
        )
        for each in receivers
        if each.wants(event, data)
    ]


def _payload(receiver: Receiver, event: str, data: Mapping[str, Any], at_ms: int) -> str:
    if receiver.format == "slack":
        return to_text({"text": slack_text(event, data)})
    if receiver.format == "email":
        subject = f"DCX: {in_words(event, data)}"[:200]
        return to_text({"to": [receiver.to], "subject": subject, "text": mail_text(event, data), "attachments": []})
    return to_text(envelope(event, at_ms, data))


async def put(
    session: AsyncSession,
    kind: OutboxKind,
    payload: Mapping[str, Any],
    *,
    order_key: str | None = None,
    dedupe_key: str | None = None,
    not_before: int | None = None,
    event: str = "",
    endpoint_id: int | None = None,
    call_id: str | None = None,
) -> str | None:
    """Write one row in the session's transaction; its id, or None where the `dedupe_key` is taken.

    `not_before` is epoch ms. A webhook or a Slack message needs the endpoint that it goes to; to tell an event to all
    who want it, use `tell`; for a mail, `mail.put_mail`. Raises TooLarge.
    """
    message = Message(
        kind=kind,
        payload=to_text(payload),
        event=event,
        endpoint_id=endpoint_id,
        call_id=call_id,
        order_key=order_key,
        dedupe_key=dedupe_key,
        next_at=not_before or 0,
    )
    return message.id if await write(session, [message]) else None


async def tell(
    session: AsyncSession,
    event: str,
    data: Mapping[str, Any],
    *,
    at_ms: int | None = None,
    call_id: str | None = None,
    order_key: str | None = None,
    dedupe_key: str | None = None,
) -> int:
    """Write a row for each endpoint and each person that wants the event; how many.

    Raises KeyError for an unknown event.
    """
    messages = messages_for(
        await receivers(session),
        event,
        data,
        now_ms() if at_ms is None else at_ms,
        call_id=call_id,
        order_key=order_key,
        dedupe_key=dedupe_key,
    )
    return await write(session, messages)


async def write(session: AsyncSession, messages: Sequence[Message]) -> int:
    """Write the rows whose `dedupe_key` is not there yet; how many."""
    written = 0
    connection = await session.connection()
    insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
    for message in messages:
        row = insert(OutboxRow).values(message.values()).on_conflict_do_nothing(index_elements=["dedupe_key"])
        written += (await session.exec(row)).rowcount
    if written:
        session.info[TOLD] = True
    return written
