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
from dcx_ari.services import recording_deletion, voicemail_deletion
from dcx_ari.services.errors import Conflict
from dcx_ari.services.render import plain
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.models.calls import Call, Recording
from dcx_ari.store.models.retention import RetentionRule
from dcx_ari.store.models.voicemails import Voicemail

Kind = type[Recording] | type[Voicemail]
_PART = 500
_EVERY_MS = 3_600_000
_AGAIN_MS = 600_000


@dataclass(slots=True)
class Report:
    """What a run did, or would do. `due` names recordings and voicemails whose time is up, `due_count` counts them."""

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
    audio: Recording | Voicemail
    call: Call
    labels: frozenset[str]
    held: bool


async def run(database: Database, home: Path, now: int, *, dry_run: bool = False, shown: int = 1_000) -> Report:
    """Delete the audio whose time is up at `now` (epoch ms). `due` lists the first `shown` of it.

    Also goes on with what an interrupted run has left. Whatever is done twice changes nothing.
    """
    report = Report(dry_run)
    if not dry_run:
        await _go_on(_Work(database, home, now, report))
    async with database.read() as session:
        rules = [_rule(row) for row in (await session.exec(select(RetentionRule))).all()]
    for rule in rules:
        if rule.days is None:
            continue
        for kind in (Recording, Voicemail):
            async for part in _candidates(database, kind, rule, rules, now):
                due = _judge(part, rule, now, report, shown)
                if not dry_run:
                    await _delete(_Work(database, home, now, report), kind, due)
    return report


async def retention_job(database: Database, home: Path, now: int) -> int:
    """`run`, and when to run again (epoch ms)."""
    report = await run(database, home, now, shown=0)
    return now + (_AGAIN_MS if report.errors else _EVERY_MS)


def _rule(row: RetentionRule) -> decided.Rule:
    return decided.Rule(row.id or 0, row.campaign_id, row.retention_days, dict(row.exceptions))


async def _candidates(
    database: Database, kind: Kind, rule: decided.Rule, rules: Sequence[decided.Rule], now: int
) -> AsyncIterator[list[_Candidate]]:
    """Recordings or voicemails that the rule is about and whose days are over, by id, a part at a time."""
    latest = now - (rule.days or 0) * decided.DAY_MS
    own = [other.campaign_id for other in rules if other.campaign_id is not None]
    campaign: Any = col(Call.campaign_id)
    about = (
        campaign == rule.campaign_id if rule.campaign_id is not None else or_(campaign.is_(None), campaign.not_in(own))
    )
    ready = col(Recording.state) == "ready" if kind is Recording else col(Voicemail.audio) != "recording"
    last = ""
    while True:
        there = (ready, col(kind.deleting_at).is_(None), col(kind.id) > last, col(Call.ended_at) <= latest, about)
        query: Any = select(kind, Call).join(Call, col(Call.id) == col(kind.call_id)).where(*there)
        async with database.read() as session:
            found = (await session.exec(query.order_by(col(kind.id)).limit(_PART))).all()
            part = await _with_labels(session, [(each[0], each[1]) for each in found])
        if part:
            yield part
        if len(part) < _PART:
            return
        last = part[-1].audio.id


async def _with_labels(session: AsyncSession, found: Sequence[tuple[Recording | Voicemail, Call]]) -> list[_Candidate]:
    ids = [call.id for _, call in found]
    link = m.CallSessionTag
    tags: dict[str, list[str]] = {}
    query = select(link.call_session_id, m.CallTag.name).join(m.CallTag, col(m.CallTag.id) == col(link.tag_id))
    for call_id, name in (await session.exec(query.where(col(link.call_session_id).in_(ids)))).all():
        tags.setdefault(call_id, []).append(name)
    held = set((await session.exec(select(m.LegalHold.call_id).where(col(m.LegalHold.call_id).in_(ids)))).all())
    return [
        _Candidate(
            audio,
            call,
            decided.labels_of(tags.get(call.id, ()), call.outcome, converted=call.converted) | _state(audio),
            call.id in held,
        )
        for audio, call in found
    ]


def _state(audio: Recording | Voicemail) -> frozenset[str]:
    """A rule can keep messages for as long as nobody has heard them."""
    return frozenset({f"voicemail-{audio.state}"}) if isinstance(audio, Voicemail) else frozenset()


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
            report.bytes += each.audio.size_bytes or 0
        if len(report.due) < shown:
            report.due.append(
                {
                    "recording_id": each.audio.id if isinstance(each.audio, Recording) else None,
                    "voicemail_id": each.audio.id if isinstance(each.audio, Voicemail) else None,
                    "call_id": each.call.id,
                    "ended_at": plain("ended_at", each.call.ended_at),
                    "kept_until": plain("kept_at", kept.until),
                    "reason": kept.why,
                    "size_bytes": each.audio.size_bytes,
                }
            )
    return due


@dataclass(frozen=True, slots=True)
class _Work:
    database: Database
    home: Path
    now: int
    report: Report


async def _delete(work: _Work, kind: Kind, due: Sequence[tuple[_Candidate, str]]) -> None:
    """Mark all in one transaction (what was put on hold since is left alone), then delete and confirm."""
    marked = []
    async with work.database.write() as session:
        for each, why in due:
            try:
                if await _mark(session, each.audio, why, work.now):
                    marked.append(each.audio.id)
            except Conflict:
                work.report.held += 1
    await _finish(work, kind, marked)


async def _mark(session: AsyncSession, audio: Recording | Voicemail, why: str, now: int) -> bool:
    """False: somebody else did, since we looked. Raises Conflict."""
    if isinstance(audio, Recording):
        recording = await session.get(Recording, audio.id)
        if recording is None or recording.deleting_at is not None:
            return False
        await recording_deletion.mark(session, recording, why, now)
        return True
    voicemail = await session.get(Voicemail, audio.id)
    if voicemail is None or voicemail.deleting_at is not None:
        return False
    await voicemail_deletion.mark(session, voicemail, why, now)
    return True


async def _go_on(work: _Work) -> None:
    async with work.database.read() as session:
        recordings = await recording_deletion.unfinished(session)
        voicemails = await voicemail_deletion.unfinished(session)
    await _finish(work, Recording, recordings)
    await _finish(work, Voicemail, voicemails)


async def _finish(work: _Work, kind: Kind, ids: Sequence[str]) -> None:
    if not ids:
        return
    report = work.report
    try:
        if kind is Recording:
            report.bytes += await recording_deletion.finish(work.database, work.home, ids, work.now)
        else:
            report.bytes += await voicemail_deletion.finish(work.database, work.home, ids)
        report.deleted += len(ids)
    except OSError as error:
        report.errors.append(f"{error.filename}: {error.strerror}")
