"""The calls' own rows, written by group commit.

Everything posted is kept in memory, merged per row, and committed together with what other calls post at the
same time: by the next `durable()` of any call, or after `LINGER_S`. What is posted without `durable()` can be
lost with the process, so that is used only for what Asterisk or a later row shows again (see docs/design.md).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Inbound
from dcx_ari.call.tasks import Spawner
from dcx_ari.decide.cities import city_of
from dcx_ari.decide.local_time import local_time
from dcx_ari.store.errors import StatementRefused, StoreError
from dcx_ari.store.news import CallNews

log = logging.getLogger(__name__)

LINGER_S = 0.05
_SHARED = "INSERT INTO decision_tables (digest, text) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
_RETRY_S = 1.0
_KEEP_SHARED = 1_000
_KEEP_STATEMENTS = 20_000  # of a database that stays away: then the oldest are given up

Statement = tuple[str, Sequence[Sequence[Any]]]
Commit = Callable[[Sequence[Statement]], Awaitable[None]]

_LEG_COLUMNS = [
    "id",
    "call_id",
    "buyer_id",
    "group_id",
    "trunk_id",
    "endpoint",
    "position",
    "dialled_at",
    "ringing_at",
    "answered_at",
    "accepted_at",
    "bridged_at",
    "ended_at",
    "result",
    "cause",
    "tech_cause",
]
_OF_LEDGER = frozenset({"revenue_cents", "payout_cents", "cost_cents"})
"""Money on a call's row is written by the ledger, with its entries; here it is only news."""
_JSON_COLUMNS = frozenset({"stage_data", "tags", "headers", "decision", "pauses"})


class Journal:
    """Implements the `Journal` port over `commit`, which runs statements in one transaction."""

    def __init__(
        self,
        commit: Commit,
        worker: str,
        zone: ZoneInfo | None = None,
        news: CallNews | None = None,
        cities: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`zone` is the company's: calls keep the time of their arrival on its clock (None: UTC). `news` finds in what
        is posted here what is to be told to the outside (None: nothing is). `cities`: see `decide.cities`.
        """
        self._cities = cities
        self.news = news or CallNews(lambda: (), lambda: 0)
        self._commit = commit
        self._zone = zone or ZoneInfo("UTC")
        self._worker = worker
        self._calls: dict[str, dict[str, Any]] = {}
        self._updates: dict[str, dict[str, Any]] = {}
        self._legs: dict[str, dict[str, Any]] = {}
        self._recordings: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._sequences: dict[str, int] = {}
        self._texts: list[tuple[str, str]] = []
        self._shared: set[str] = set()
        self._others: list[Statement] = []
        self._unwritten: list[Statement] = []
        self._timer: asyncio.TimerHandle | None = None
        self._spawner = Spawner()
        self._closed = False
        self.watch: Callable[[str], None] = lambda _call_id: None  # told of every call about which something is posted
        self.refused = 0  # statements that the database will never take: always a fault of ours

    # -- the port -------------------------------------------------------------------------------------------

    def opened(self, call_id: str, inbound: Inbound, at_ms: int) -> None:
        here = local_time(at_ms, self._zone)
        self._calls[call_id] = {
            "id": call_id,
            "worker": self._worker,
            "channel_id": inbound.channel_id,
            "direction": "inbound",
            "dialled": inbound.dialled,
            "caller": inbound.caller,
            "caller_name": inbound.caller_name,
            "caller_city": city_of(self._cities, inbound.caller),
            "headers": _text(dict(inbound.headers)),
            "sip_call_id": inbound.headers.get("call-id"),
            "test": inbound.test,
            "postback_key": f"{secrets.token_urlsafe(12)}.{secrets.token_urlsafe(24)}",  # see services.postbacks
            "started_at": at_ms,
            "local_day": here.day,
            "local_hour": here.hour,
            "local_weekday": here.weekday,
            "local_minute": here.minute,
        }
        self.news.opened(call_id, self._calls[call_id])
        self._posted()
        self.watch(call_id)

    def update(self, call_id: str, **fields: Any) -> None:
        row = self._calls.get(call_id)
        if row is None:
            row = self._updates.setdefault(call_id, {})
        row.update({name: _plain(name, value) for name, value in fields.items() if name not in _OF_LEDGER})
        self.news.updated(call_id, fields)
        self._posted()
        self.watch(call_id)

    def event(self, call_id: str, at_ms: int, kind: str, data: Mapping[str, Any]) -> None:
        seq = self._sequences[call_id] = self._sequences.get(call_id, 0) + 1
        self._events.append({"call_id": call_id, "at": at_ms, "seq": seq, "kind": kind, "data": _text(data)})
        self._posted()

    def leg(self, call_id: str, leg: Leg) -> None:
        ended = leg.ended
        row = {name: getattr(leg, name, None) for name in _LEG_COLUMNS}
        row |= {
            "call_id": call_id,
            "result": str(leg.result) if leg.settled or leg.failed else None,
            "cause": None if ended is None else ended.cause,
            "tech_cause": None if ended is None else ended.tech_cause,
        }
        self._legs[leg.id] = row
        self.news.leg(call_id, leg)
        self._posted()
        self.watch(call_id)

    def recording(self, call_id: str, recording_id: str, **fields: Any) -> None:
        row = self._recordings.setdefault(recording_id, {"id": recording_id, "call_id": call_id})
        row.update({name: _plain(name, value) for name, value in fields.items()})
        self.news.recording(call_id, row)
        self._posted()

    def shared_text(self, digest: str, text: str) -> None:
        """Keep what the Decisions of many calls have in common, once."""
        if digest not in self._shared:
            if len(self._shared) >= _KEEP_SHARED:  # every change of the configuration brings new ones
                self._shared.clear()  # what is written again does no harm
            self._shared.add(digest)
            self._texts.append((digest, text))
            self._posted()

    async def durable(self) -> None:
        """Commit what is posted. Raises `StoreError`; what could not be written is kept and tried again."""
        error = await self._flush()
        if error is not None:
            raise error

    def statement(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """A statement of somebody else's, with the next group commit."""
        self._others.append((sql, rows))
        self._posted()

    def resumed(self, call_id: str, last_event: int) -> None:
        """A call of another process goes on here: its events are numbered on from there."""
        self._sequences[call_id] = last_event

    def forget(self, call_id: str) -> None:
        """The call is closed: no more events will be numbered for it."""
        self._sequences.pop(call_id, None)
        self.watch(call_id)
        self.news.forget(call_id)

    # -- the writer -----------------------------------------------------------------------------------------

    def _posted(self, linger_s: float = LINGER_S) -> None:
        """Let more come for a while, then commit."""
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(linger_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._spawner.spawn(self._flush(), "journal")

    async def close(self) -> None:
        """Commit the rest; nothing may be posted any more."""
        self._closed = True
        await self._spawner.finish(_RETRY_S)
        await self._flush()

    async def _flush(self) -> StoreError | None:
        """One transaction. Later calls come after it: the database's writer takes them in order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._unwritten = [*self._unwritten, *self._take()], []
        error = await self._write(batch)
        if error is not None:
            log.error("call records could not be written, will try again: %s", error)
            self._unwritten = [*map(_again, batch), *self._unwritten][-_KEEP_STATEMENTS:]
            self._posted(_RETRY_S)
        return error

    async def _write(self, batch: Sequence[Statement]) -> StoreError | None:
        """None when all is written; the reason when the database cannot be used now."""
        try:
            await self._commit(batch)  # also an empty one: it waits for those before it
            self.news.committed()
        except StoreError as error:
            return error
        except StatementRefused as error:
            if len(batch) == 1:
                self.refused += 1
                log.error("a statement for %d rows was refused and is given up: %s", len(batch[0][1]), error)
                return None
            for statement in batch:  # find the one; it must not keep the others from being written
                if (reason := await self._write([statement])) is not None:
                    return reason
        return None

    def _take(self) -> list[Statement]:
        taken = (self._calls, self._updates, self._legs, self._recordings, self._events)
        self._calls, self._updates, self._legs, self._recordings, self._events = {}, {}, {}, {}, []
        texts, self._texts = self._texts, []
        shared = [(_SHARED, texts)] if texts else []
        others, self._others = self._others, []
        return [*shared, *_statements(*taken), *self.news.take(), *others]


def _again(statement: Statement) -> Statement:
    """For a commit whose answer was lost with the connection: the rows may be there already."""
    sql, rows = statement
    plain = sql.startswith("INSERT") and "ON CONFLICT" not in sql
    return (f"{sql} ON CONFLICT DO NOTHING" if plain else sql), rows


def _text(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()  # several times a call: an eighth of what `json` takes
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(value)


def _plain(name: str, value: Any) -> Any:
    """JSON columns as text; a string there is JSON already (a Decision)."""
    if name in _JSON_COLUMNS and value is not None and not isinstance(value, str):
        return _text(value)
    return value


def _statements(
    calls: Mapping[str, Mapping[str, Any]],
    updates: Mapping[str, Mapping[str, Any]],
    legs: Mapping[str, Mapping[str, Any]],
    recordings: Mapping[str, Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
) -> Iterable[Statement]:
    yield from _each(calls.values(), _insert_into("calls"))
    yield from _each(({**row, "id": id_} for id_, row in updates.items()), _update_calls)
    yield from _each(legs.values(), _upsert_into("legs"))
    yield from _each(recordings.values(), _upsert_into("recordings"))
    yield from _each(events, _insert_into("call_events"))


def _each(rows: Iterable[Mapping[str, Any]], sql: Callable[[Sequence[str]], str]) -> Iterable[Statement]:
    """Rows that set the same columns go to the database as one statement; `id` is the last parameter."""
    groups: dict[tuple[str, ...], list[Sequence[Any]]] = {}
    for row in rows:
        columns = tuple(sorted(row, key=lambda name: (name == "id", name)))
        groups.setdefault(columns, []).append([row[name] for name in columns])
    for columns, values in groups.items():
        yield sql(columns), values


# Table and column names below are this module's own.
def _insert_into(table: str) -> Callable[[Sequence[str]], str]:
    def insert(columns: Sequence[str]) -> str:
        places = ", ".join("?" for _ in columns)
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608

    return insert


def _upsert_into(table: str) -> Callable[[Sequence[str]], str]:
    insert = _insert_into(table)

    def upsert(columns: Sequence[str]) -> str:
        sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
        return f"{insert(columns)} ON CONFLICT (id) DO UPDATE SET {sets}"

    return upsert


def _update_calls(columns: Sequence[str]) -> str:
    sets = ", ".join(f"{name} = ?" for name in columns if name != "id")
    return f"UPDATE calls SET {sets} WHERE id = ?"  # noqa: S608
