"""What live calls tell the outside, found in what the journal is told about them.

The rows go into the journal's own transaction: an event is never told of a fact that was not written, and never
missing for one that was. Where nobody wants to hear of calls, a look at an empty tuple is all that happens. A call
is followed from its beginning, so a receiver that is added hears of the calls that come after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlmodel import col, select

from dcx_ari.call.leg import Leg
from dcx_ari.decide.events import EVENTS, filled, wants
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call
from dcx_ari.store.outbox import Message, Statement, messages_for, statement
from dcx_ari.store.receivers import Receiver

_CHUNK = 500
FACTS = tuple(
    {each.name for event in EVENTS.values() if event.data is not dict for each in fields(event.data)}
    & set(Call.model_fields)
)
"""Columns of a call that events are made of."""
_CALLS = tuple(name for name in EVENTS if name.startswith(("call.", "recording.")))


def of_calls(receivers: Sequence[Receiver]) -> tuple[Receiver, ...]:
    """Those who want to hear of calls."""
    return tuple(each for each in receivers if any(wants(each.events, name) for name in _CALLS))


async def facts(database: Database, call_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the rows of these calls say, for `CallNews.adopted`. Raises StoreError."""
    found: dict[str, dict[str, Any]] = {}
    async with database.read() as session:
        for start in range(0, len(call_ids), _CHUNK):
            query = select(Call).where(col(Call.id).in_(call_ids[start : start + _CHUNK]))
            found |= {row.id: {name: getattr(row, name) for name in FACTS} for row in await session.exec(query)}
    return found


@dataclass(slots=True)
class _Followed:
    """What is known of a call, by the names of its row's columns; the keys of what was told."""

    known: dict[str, Any]
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Happened:
    """Made into messages when the transaction is put together: by then more is known of the call."""

    event: str
    call_id: str
    at_ms: int
    key: str
    data: Mapping[str, Any]


class CallNews:
    """Fed by the journal. `receivers` gives those of `of_calls` as of now; `ring` wakes who delivers."""

    def __init__(
        self,
        receivers: Callable[[], Sequence[Receiver]],
        now_ms: Callable[[], int],
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        self._receivers = receivers
        self._now_ms = now_ms
        self._ring = ring
        self._taken = False
        self._calls: dict[str, _Followed] = {}
        self._happened: list[_Happened] = []
        self._made: list[Message] = []

    @property
    def wanted(self) -> bool:
        """Whether anybody wants to hear of calls."""
        return bool(self._receivers())

    def opened(self, call_id: str, row: Mapping[str, Any]) -> None:
        if self._receivers():
            self._calls[call_id] = _Followed({**row, "call_id": call_id})
            self._tell("call.started", call_id, row["started_at"])

    def adopted(self, call_id: str, row: Mapping[str, Any]) -> None:
        """A call that another process began goes on, or is closed, here. What that one told is not told again: its rows
        are there, under the same keys.
        """
        if self._receivers():
            self._calls[call_id] = _Followed({**row, "call_id": call_id})

    def updated(self, call_id: str, fields: Mapping[str, Any]) -> None:
        call = self._calls.get(call_id)
        if call is None:
            return
        call.known.update(fields)
        if fields.get("ended_at") is not None:
            self._tell("call.completed", call_id, fields["ended_at"])

    def leg(self, call_id: str, leg: Leg) -> None:
        if call_id not in self._calls:
            return
        about = {"leg_id": leg.id, "buyer_id": leg.buyer_id, "group_id": leg.group_id}
        for event, at in (("call.ringing", leg.ringing_at), ("call.answered", leg.bridged_at)):
            if at is not None:
                self._tell(event, call_id, at, leg.id, {**about, "at": at})

    def recording(self, call_id: str, row: Mapping[str, Any]) -> None:
        if row.get("state") != "ready" or not self._receivers():
            return
        about = {**row, "recording_id": row["id"]}
        self._happened.append(
            _Happened("recording.ready", call_id, self._now_ms(), f"recording.ready/{row['id']}", about)
        )

    def converted(self, call_id: str, key: str, data: Mapping[str, Any], at_ms: int) -> Sequence[Statement]:
        """For the ledger's transaction: the conversion is booked there. `key` is the booking's."""
        if not self._receivers():
            return ()
        call = self._calls.get(call_id)
        known = {**(call.known if call is not None else {"call_id": call_id}), **data}
        made = self._messages(_Happened("call.converted", call_id, at_ms, f"call.converted/{key}", data), known)
        return [statement(made)] if made else ()

    def forget(self, call_id: str) -> None:
        """The call is closed. What is still to be told of it waits for the next `take`."""
        if call_id in self._calls:
            self._make()
            del self._calls[call_id]

    def take(self) -> list[Statement]:
        """What is to be written now; at most one statement."""
        if not self._happened and not self._made:
            return []
        self._make()
        made, self._made = self._made, []
        self._taken = self._taken or bool(made)
        return [statement(made)] if made else []

    def committed(self) -> None:
        """What was taken is in the database, if anything was."""
        if self._taken:
            self._taken = False
            self._ring()

    def _make(self) -> None:
        for each in self._happened:
            call = self._calls.get(each.call_id)
            known = {**(call.known if call is not None else {"call_id": each.call_id}), **each.data}
            self._made += self._messages(each, known)
        self._happened.clear()

    def _tell(self, event: str, call_id: str, at: int, what: str = "", data: Mapping[str, Any] | None = None) -> None:
        key = f"{event}/{what}" if what else event
        told = self._calls[call_id].told
        if key not in told:
            told.add(key)
            self._happened.append(_Happened(event, call_id, at, key, data or {}))

    def _messages(self, each: _Happened, known: Mapping[str, Any]) -> list[Message]:
        return messages_for(
            self._receivers(),
            each.event,
            filled(EVENTS[each.event].data, known),
            each.at_ms,
            call_id=each.call_id,
            order_key=each.call_id,
            dedupe_key=f"{each.call_id}/{each.key}",
        )
