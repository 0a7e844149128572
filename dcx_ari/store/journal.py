"""The calls' own rows, written by group commit.

Everything posted is kept in memory, merged per row, and committed together with what other calls post at the
same time: by the next `durable()` of any call, or after `LINGER_S`. What is posted without `durable()` can be
lost with the process, so that is used only for what Asterisk or a later row shows again (see docs/design.md).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Inbound

log = logging.getLogger(__name__)

LINGER_S = 0.05
_RETRY_S = 1.0
_KEEP_STATEMENTS = 20_000  # of a database that stays away: then the oldest are given up

Statement = tuple[str, Sequence[Mapping[str, Any]]]
Commit = Callable[[Sequence[Statement]], Awaitable[None]]

_LEG_COLUMNS = (
    "id call_id buyer_id group_id trunk_id endpoint position dialled_at ringing_at answered_at accepted_at "
    "bridged_at ended_at result cause tech_cause"
).split()
_JSON_COLUMNS = frozenset({"stage_data", "tags", "headers", "decision", "pauses"})


class Journal:
    """Implements the `Journal` port over `commit`, which runs statements in one transaction."""

    def __init__(self, commit: Commit, worker: str) -> None:
        self._commit = commit
        self._worker = worker
        self._calls: dict[str, dict[str, Any]] = {}
        self._updates: dict[str, dict[str, Any]] = {}
        self._legs: dict[str, dict[str, Any]] = {}
        self._recordings: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._sequences: dict[str, int] = {}
        self._posted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._unwritten: list[Statement] = []

    # -- the port -------------------------------------------------------------------------------------------

    def opened(self, call_id: str, inbound: Inbound, at_ms: int) -> None:
        self._calls[call_id] = {
            "id": call_id,
            "worker": self._worker,
            "channel_id": inbound.channel_id,
            "direction": "inbound",
            "dialled": inbound.dialled,
            "caller": inbound.caller,
            "caller_name": inbound.caller_name,
            "headers": json.dumps(dict(inbound.headers)),
            "sip_call_id": inbound.headers.get("call-id"),
            "test": inbound.test,
            "started_at": at_ms,
        }
        self._posted.set()

    def update(self, call_id: str, **fields: Any) -> None:
        row = self._calls.get(call_id)
        if row is None:
            row = self._updates.setdefault(call_id, {})
        row.update({name: _plain(name, value) for name, value in fields.items()})
        self._posted.set()

    def event(self, call_id: str, at_ms: int, kind: str, data: Mapping[str, Any]) -> None:
        seq = self._sequences[call_id] = self._sequences.get(call_id, 0) + 1
        self._events.append({"call_id": call_id, "at": at_ms, "seq": seq, "kind": kind, "data": json.dumps(data)})
        self._posted.set()

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
        self._posted.set()

    def recording(self, call_id: str, recording_id: str, **fields: Any) -> None:
        row = self._recordings.setdefault(recording_id, {"id": recording_id, "call_id": call_id})
        row.update({name: _plain(name, value) for name, value in fields.items()})
        self._posted.set()

    async def durable(self) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._posted.set()
        await done

    def forget(self, call_id: str) -> None:
        """The call is closed: no more events will be numbered for it."""
        self._sequences.pop(call_id, None)

    # -- the writer -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit what is posted, for ever; on cancellation commit the rest, then end."""
        try:
            while True:
                await self._posted.wait()
                if not self._waiting:
                    await self._linger()
                if not await self._flush():
                    await asyncio.sleep(_RETRY_S)
        finally:
            await self._flush()

    async def _linger(self) -> None:
        """Let more come, but go at once when somebody waits."""
        deadline = asyncio.get_running_loop().time() + LINGER_S
        while not self._waiting and (left := deadline - asyncio.get_running_loop().time()) > 0:
            self._posted.clear()
            try:
                async with asyncio.timeout(left):
                    await self._posted.wait()
            except TimeoutError:
                break

    async def _flush(self) -> bool:
        """One transaction. What could not be written is kept and goes first the next time."""
        self._posted.clear()
        waiting, self._waiting = self._waiting, []
        batch = [*self._unwritten, *self._take()]
        try:
            if batch:
                await self._commit(batch)
        except Exception as error:  # whatever the database's driver raises, the callers must hear of it
            log.error("call records could not be written, will try again: %s", error)
            self._unwritten = batch[-_KEEP_STATEMENTS:]
            self._posted.set()
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            return False
        self._unwritten = []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return True

    def _take(self) -> list[Statement]:
        taken = (self._calls, self._updates, self._legs, self._recordings, self._events)
        self._calls, self._updates, self._legs, self._recordings, self._events = {}, {}, {}, {}, []
        return list(_statements(*taken))


def _plain(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _JSON_COLUMNS and value is not None else value


def _statements(
    calls: Mapping[str, Mapping[str, Any]],
    updates: Mapping[str, Mapping[str, Any]],
    legs: Mapping[str, Mapping[str, Any]],
    recordings: Mapping[str, Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
) -> Iterable[Statement]:
    for columns, rows in _by_columns(calls.values()):
        yield _insert("calls", columns), rows
    for columns, rows in _by_columns({"id": id_, **row} for id_, row in updates.items()):
        sets = ", ".join(f"{name} = :{name}" for name in columns if name != "id")
        yield f"UPDATE calls SET {sets} WHERE id = :id", rows  # noqa: S608 — column names are ours
    if legs:
        yield _upsert("legs", _LEG_COLUMNS), list(legs.values())
    for columns, rows in _by_columns(recordings.values()):
        yield _upsert("recordings", columns), rows
    if events:
        yield _insert("call_events", list(events[0])), events


def _by_columns(
    rows: Iterable[Mapping[str, Any]],
) -> Iterable[tuple[Sequence[str], Sequence[Mapping[str, Any]]]]:
    """Rows that set the same columns go to the database as one statement."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(sorted(row))].append(row)
    return groups.items()


def _insert(table: str, columns: Sequence[str]) -> str:
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({values})"  # noqa: S608


def _upsert(table: str, columns: Sequence[str]) -> str:
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return f"{_insert(table, columns)} ON CONFLICT (id) DO UPDATE SET {sets}"
