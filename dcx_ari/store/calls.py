"""Queries on calls that the engine needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import case, func
from sqlmodel import col, select

from dcx_ari.call.leg import Ended, Leg
from dcx_ari.call.ports import Inbound
from dcx_ari.call.saved import Saved
from dcx_ari.decide.causes import Cause, LegResult
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call as CallRow
from dcx_ari.store.models.calls import CallEvent, DecisionTables, Recording
from dcx_ari.store.models.calls import Leg as LegRow

ADOPTED = "adopted"  # the event that a process writes when it takes a call over

_CHUNK = 500
_TIMES = ("dialled_at", "ringing_at", "answered_at", "accepted_at", "bridged_at", "ended_at")
_NAMED = ("id", "endpoint", "buyer_id", "group_id", "trunk_id", "position")


async def open_calls(database: Database, worker: str) -> list[Saved]:
    """The calls of a worker (its application's name) that no process has closed, oldest first."""
    async with database.read() as session:
        query = select(CallRow).where(col(CallRow.worker) == worker, col(CallRow.ended_at).is_(None))
        rows = list((await session.exec(query.order_by(col(CallRow.started_at), col(CallRow.id)))).all())
        ids = [row.id for row in rows]
        legs: dict[str, list[Leg]] = {}
        recordings: dict[str, dict[str, int]] = {}
        counts: dict[str, tuple[int, int]] = {}
        for some in _chunks(ids):
            of_call = select(LegRow).where(col(LegRow.call_id).in_(some)).order_by(col(LegRow.position))
            for leg in (await session.exec(of_call)).all():
                legs.setdefault(leg.call_id, []).append(_leg(leg))
            unfinished = select(Recording).where(col(Recording.call_id).in_(some), col(Recording.state) == "recording")
            for recording in (await session.exec(unfinished)).all():
                recordings.setdefault(recording.call_id, {})[recording.id] = recording.started_at or 0
            taken = func.sum(case((col(CallEvent.kind) == ADOPTED, 1), else_=0))
            events = select(CallEvent.call_id, func.max(CallEvent.seq), taken).where(col(CallEvent.call_id).in_(some))
            for call_id, last, times in (await session.exec(events.group_by(col(CallEvent.call_id)))).all():
                counts[call_id] = (int(last), int(times or 0))
        tables = await _tables(session, rows)
    return [_saved(row, legs, recordings, counts, tables) for row in rows]


async def open_ids(database: Database) -> set[str]:
    """Call ids and callers' channel ids of all open calls, whichever worker has them."""
    async with database.read() as session:
        query = select(CallRow.id, CallRow.channel_id).where(col(CallRow.ended_at).is_(None))
        return {name for row in (await session.exec(query)).all() for name in row if name}


def _saved(
    row: CallRow,
    legs: dict[str, list[Leg]],
    recordings: dict[str, dict[str, int]],
    counts: dict[str, tuple[int, int]],
    tables: dict[str, str],
) -> Saved:
    last, times = counts.get(row.id, (0, 0))
    facts = Inbound(
        channel_id=row.channel_id or "",
        dialled=row.dialled,
        caller=row.caller,
        caller_name=row.caller_name,
        headers={str(name): str(value) for name, value in row.headers.items()},
        test=row.test,
    )
    return Saved(
        id=row.id,
        facts=facts,
        started_at=row.started_at,
        answered_at=row.answered_at,
        stage=row.stage,
        stage_data=row.stage_data,
        tags={str(name): str(value) for name, value in row.tags.items()},
        flow_id=row.flow_id,
        flow_version=row.flow_version,
        path=row.flow_path or "",
        buyer_id=row.buyer_id,
        generation=times,
        last_event=last,
        decision=_whole(row.decision, tables),
        legs=tuple(legs.get(row.id, ())),
        recordings=recordings.get(row.id, {}),
    )


def _leg(row: LegRow) -> Leg:
    leg = Leg(**{name: getattr(row, name) for name in (*_NAMED, *_TIMES)})
    if leg.ended_at is not None:
        leg.ended = Ended(row.cause or Cause.NORMAL, row.tech_cause)
        leg.failed = LegResult(row.result) if row.result in set(LegResult) and not leg.answered else None
    return leg


async def _tables(session: Any, rows: Iterable[CallRow]) -> dict[str, str]:
    """The campaigns' tables that the Decisions of these calls share, by digest."""
    digests = {digest for row in rows if (digest := _digest(row.decision)) is not None}
    found: dict[str, str] = {}
    for some in _chunks(sorted(digests)):
        query = select(DecisionTables).where(col(DecisionTables.digest).in_(some))
        found |= {each.digest: each.text for each in (await session.exec(query)).all()}
    return found


def _digest(decision: dict[str, Any] | None) -> str | None:
    inputs = (decision or {}).get("inputs") or {}
    digest = inputs.get("campaign_digest")
    return digest if isinstance(digest, str) else None


def _whole(decision: dict[str, Any] | None, tables: dict[str, str]) -> str | None:
    """The Decision as text that can be decided again: with what it shares with others put back."""
    if decision is None:
        return None
    shared = tables.get(_digest(decision) or "")
    if shared is None:
        return json.dumps(decision)
    return json.dumps({**decision, "inputs": {**decision["inputs"], "campaign": json.loads(shared)}})


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
