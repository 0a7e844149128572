"""Flows become versions: checked, numbered, never changed again. Calls run the newest one of a published flow."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.flows.checking import check, check_text
from dcx_ari.flows.document import load_yaml
from dcx_ari.flows.known import Known
from dcx_ari.flows.problems import BadFlow, Problem, errors
from dcx_ari.flows.source import Source, as_text
from dcx_ari.services import audit
from dcx_ari.services.documents import known_of
from dcx_ari.services.errors import Invalid
from dcx_ari.store import models as m

_MOST_TOLD = 10
_MOST_PROBLEMS = 200


class NotPublished(Invalid):
    """The document has errors; each with its place in the text that was given, or that `dcx flows show` prints."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        wrong = errors(problems)
        more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        told = (problem.line().replace(": error: ", ": ", 1) for problem in wrong[:_MOST_TOLD])
        super().__init__("document", f"{'; '.join(told)}{more}")
        self.problems = tuple(problems)

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "problems": [problem_json(each) for each in self.problems[:_MOST_PROBLEMS]]}


def problem_json(problem: Problem) -> dict[str, Any]:
    """For programs: place, rule and what to do."""
    return {
        "line": problem.mark.line if problem.mark else None,
        "column": problem.mark.column if problem.mark else None,
        "level": problem.level,
        "code": problem.code,
        "path": list(problem.path),
        "message": problem.message,
        "hint": problem.hint,
    }


def read_text(text: str) -> dict[str, Any]:
    """The plain data of a document's text. Raises NotPublished."""
    try:
        data = load_yaml(text)
    except BadFlow as bad:
        raise NotPublished(bad.problems) from None
    if not isinstance(data, dict):
        raise NotPublished(check_text(text)[1])
    return data


async def newest(session: AsyncSession, flow_id: int) -> m.FlowVersion | None:
    """The version with the highest number: the one that calls run, if the flow is published."""
    query = select(m.FlowVersion).where(col(m.FlowVersion.flow_id) == flow_id)
    return (await session.exec(query.order_by(col(m.FlowVersion.number).desc()).limit(1))).first()


async def publish(
    session: AsyncSession, flow: m.Flow, *, source: str | None = None, note: str = ""
) -> tuple[m.FlowVersion, list[Problem]]:
    """Make the draft, or the text `source`, the newest version, and the flow a published one.

    A draft that is no other than the newest version makes no new one. What was checked comes back with its warnings.
    Raises NotPublished; then nothing was written.
    """
    document = flow.document if source is None else await asyncio.to_thread(read_text, source)
    problems = await _problems(document, source, await known_of(session))
    last = await newest(session, flow.id or 0)
    if last is None or last.document != document or (source is not None and source != last.source):
        last = await _add(session, flow, document, source, note)
    elif flow.status == "published" and flow.document == document:
        return last, problems
    await _point(session, flow, last)
    return last, problems


async def _problems(document: dict[str, Any], source: str | None, known: Known) -> list[Problem]:
    """Off the event loop: a large document takes a while, and calls are under way. Raises NotPublished."""
    if source is None:
        problems = (await asyncio.to_thread(check, Source(document), known))[1]
        if not errors(problems):
            return problems
        source = as_text(document)
    problems = (await asyncio.to_thread(check_text, source, known))[1]
    if errors(problems):
        raise NotPublished(problems)
    return problems


async def _add(
    session: AsyncSession, flow: m.Flow, document: dict[str, Any], source: str | None, note: str
) -> m.FlowVersion:
    highest = select(func.max(m.FlowVersion.number)).where(col(m.FlowVersion.flow_id) == flow.id)
    number = ((await session.exec(highest)).one() or 0) + 1
    actor: audit.Actor = session.info.get("actor", audit.SYSTEM)
    made = m.FlowVersion(
        flow_id=flow.id or 0,
        number=number,
        document=document,
        source=source,
        note=note,
        published_at=now_ms(),
        published_by=actor.name or actor.kind,
    )
    session.add(made)
    await session.flush()
    return made


async def _point(session: AsyncSession, flow: m.Flow, version: m.FlowVersion) -> None:
    """The row follows what is published, and engines are told."""
    now = now_ms()
    if flow.document != version.document or flow.status != "published":
        flow.document, flow.status = version.document, "published"
        flow.version += 1
        flow.updated_at = now
    await session.flush()
    counter = m.ConfigVersion
    await session.exec(update(counter).values(version=counter.version + 1, updated_at=now))
    after = {"number": version.number, "note": version.note}
    await audit.record(session, "flow.published", "flow", flow.id, None, after)


async def on_write(session: AsyncSession, flow: Any, given: Collection[str]) -> None:
    """A flow that is saved as published is published with what it then holds."""
    if flow.status == "published" and "status" in given:
        await publish(session, flow)


async def advice(session: AsyncSession, row: Mapping[str, Any]) -> list[str]:
    """What a draft that was just saved still needs."""
    _, problems = check(Source(row["document"]), await known_of(session))
    found = [f"not ready to publish: {problem.line().removeprefix('error: ')}" for problem in errors(problems)]
    last = await newest(session, row["id"])
    if row["status"] == "published" and last is not None and last.document != row["document"]:
        found.append(f"callers still go through version {last.number}: dcx flows publish {row['name']}")
    return found[:_MOST_TOLD]


async def active_versions(session: AsyncSession, rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """The number of the version that calls run, by flow; None where there is none."""
    version = m.FlowVersion
    ids = [row.id for row in rows if row.status == "published"]
    query = select(version.flow_id, func.max(version.number)).where(col(version.flow_id).in_(ids))
    found = {row[0]: row[1] for row in (await session.exec(query.group_by(col(version.flow_id)))).all()} if ids else {}
    return {row.id: {"active_version": found.get(row.id)} for row in rows}
