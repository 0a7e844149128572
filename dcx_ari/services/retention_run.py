"""The run of the retention rules: what is due, and deleting it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide import retention as decided
from dcx_ari.services import recording_deletion
from dcx_ari.services.errors import Conflict
from dcx_ari.services.render import plain
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call, Recording
from dcx_ari.store.models.retention import RetentionRule

_PART = 500
_EVERY_MS = 3_600_000
_AGAIN_MS = 600_000


@dataclass(slots=True)
class Report:
    """What a run did, or would do. `due` names recordings whose time is up, `due_count` counts them."""

    dry_run: bool
    looked_at: int = 0
    held: int = 0
    deleted: int = 0
    bytes: int = 0
    due_count: int = 0
    due: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        names = ("dry_run", "looked_at", "held", "deleted", "bytes", "due_count", "due", "errors")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class _Candidate:
    recording: Recording
    call: Call
    labels: frozenset[str]
    held: bool


async def run(database: Database, home: Path, now: int, *, dry_run: bool = False, shown: int = 1_000) -> Report:
    """Delete the audio whose time is up at `now` (epoch ms). `due` lists the first `shown` of it.

    Also goes on with what an interrupted run has left. Whatever is done twice changes nothing.
    """
    report = Report(dry_run)
    if not dry_run:
        await _go_on(database, home, now, report)
    async with database.read() as session:
        rules = [_rule(row) for row in (await session.exec(select(RetentionRule))).all()]
    for rule in rules:
        if rule.days is None:
            continue
        async for part in _candidates(database, rule, rules, now):
            due = _judge(part, rule, now, report, shown)
            if not dry_run:
                await _delete(database, home, due, now, report)
    return report


async def retention_job(database: Database, home: Path, now: int) -> int:
    """`run`, and when to run again (epoch ms)."""
    report = await run(database, home, now, shown=0)
    return now + (_AGAIN_MS if report.errors else _EVERY_MS)


def _rule(row: RetentionRule) -> decided.Rule:
    return decided.Rule(row.id or 0, row.campaign_id, row.retention_days, dict(row.exceptions))


async def _candidates(
    database: Database, rule: decided.Rule, rules: Sequence[decided.Rule], now: int
) -> AsyncIterator[list[_Candidate]]:
    """Recordings that the rule is about and whose days are over, by id, a part at a time."""
    latest = now - (rule.days or 0) * decided.DAY_MS
    own = [other.campaign_id for other in rules if other.campaign_id is not None]
    campaign: Any = col(Call.campaign_id)
    about = (
        campaign == rule.campaign_id if rule.campaign_id is not None else or_(campaign.is_(None), campaign.not_in(own))
    )
    last = ""
    while True:
        there = (
            col(Recording.state) == "ready",
            col(Recording.deleting_at).is_(None),
            col(Recording.id) > last,
            col(Call.ended_at) <= latest,
            about,
        )
        query = select(Recording, Call).join(Call, col(Call.id) == col(Recording.call_id)).where(*there)
        async with database.read() as session:
            found = (await session.exec(query.order_by(col(Recording.id)).limit(_PART))).all()
            part = await _with_labels(session, [(each[0], each[1]) for each in found])
        if part:
            yield part
        if len(part) < _PART:
            return
        last = part[-1].recording.id


async def _with_labels(session: AsyncSession, found: Sequence[tuple[Recording, Call]]) -> list[_Candidate]:
    ids = [call.id for _, call in found]
    link = m.CallSessionTag
    tags: dict[str, list[str]] = {}
    query = select(link.call_session_id, m.CallTag.name).join(m.CallTag, col(m.CallTag.id) == col(link.tag_id))
    for call_id, name in (await session.exec(query.where(col(link.call_session_id).in_(ids)))).all():
        tags.setdefault(call_id, []).append(name)
    held = set((await session.exec(select(m.LegalHold.call_id).where(col(m.LegalHold.call_id).in_(ids)))).all())
    return [
        _Candidate(
            recording,
            call,
            decided.labels_of(tags.get(call.id, ()), call.outcome, converted=call.converted),
            call.id in held,
        )
        for recording, call in found
    ]


def _judge(
    part: Sequence[_Candidate], rule: decided.Rule, now: int, report: Report, shown: int
) -> list[tuple[_Candidate, str]]:
    due = []
    for each in part:
        report.looked_at += 1
        report.held += each.held
        kept = decided.kept(rule, each.labels, each.call.ended_at or now, held=each.held)
        if not kept.over(now):
            continue
        due.append((each, kept.why))
        report.due_count += 1
        if report.dry_run:
            report.bytes += each.recording.size_bytes or 0
        if len(report.due) < shown:
            report.due.append(
                {
                    "recording_id": each.recording.id,
                    "call_id": each.call.id,
                    "ended_at": plain("ended_at", each.call.ended_at),
                    "kept_until": plain("kept_at", kept.until),
                    "reason": kept.why,
                    "size_bytes": each.recording.size_bytes,
                }
            )
    return due


async def _delete(
    database: Database, home: Path, due: Sequence[tuple[_Candidate, str]], now: int, report: Report
) -> None:
    """Mark all in one transaction (what was put on hold since is left alone), then delete and confirm."""
    marked = []
    async with database.write() as session:
        for each, why in due:
            row = await session.get(Recording, each.recording.id)
            if row is None or row.deleting_at is not None:
                continue
            try:
                await recording_deletion.mark(session, row, why, now)
                marked.append(row.id)
            except Conflict:
                report.held += 1
    await _finish(database, home, marked, now, report)


async def _go_on(database: Database, home: Path, now: int, report: Report) -> None:
    async with database.read() as session:
        left = await recording_deletion.unfinished(session)
    await _finish(database, home, left, now, report)


async def _finish(database: Database, home: Path, ids: Sequence[str], now: int, report: Report) -> None:
    if not ids:
        return
    try:
        report.bytes += await recording_deletion.finish(database, home, ids, now)
        report.deleted += len(ids)
    except OSError as error:
        report.errors.append(f"{error.filename}: {error.strerror}")
