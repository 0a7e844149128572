"""The life of a flow: draft, numbered versions, back to an earlier one, what has changed."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.flows.checking import check as check_source
from dcx_ari.flows.checking import check_text as check_document
from dcx_ari.flows.problems import Problem
from dcx_ari.flows.source import Source, as_text
from dcx_ari.services import publishing
from dcx_ari.services.documents import known_of
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.find import find
from dcx_ari.services.parse import check_text
from dcx_ari.services.publishing import newest, problem_json
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.times import rfc3339
from dcx_ari.store import models as m

_LONGEST_NOTE = 2_000
_MOST_LISTED = 1_000
_HIGHEST = 2**31 - 1
DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Published:
    """The version that calls run from now on; `warnings` are what the check had to say of it."""

    version: dict[str, Any]
    warnings: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        return {**self.version, "warnings": [problem_json(each) for each in self.warnings]}


async def publish(session: AsyncSession, key: str | int, *, source: str | None = None, note: str = "") -> Published:
    """Make the draft the next version, or the text `source` (then it is the draft, too).

    Raises NotFound, Invalid, NotPublished with the places of all errors.
    """
    _check_note(note)
    if source is not None:
        check_text("source", source)
    flow = await _flow(session, key, lock=True)
    version, problems = await publishing.publish(session, flow, source=source, note=note)
    return Published(_shown(version, flow, version), tuple(problems))


async def roll_back(session: AsyncSession, key: str | int, to: int | None = None, *, note: str = "") -> Published:
    """Publish an earlier version once more, as a new one: by default the one before the newest.

    Numbers only grow, so that the call log always says which document a call went through. Raises NotFound, Conflict;
    NotPublished where the document names what is no longer there.
    """
    _check_note(note)
    flow = await _flow(session, key, lock=True)
    last = await newest(session, flow.id or 0)
    if last is None:
        raise Conflict("version", f"flow {flow.name!r} was never published")
    wanted = await _version(session, flow, await _before(session, last) if to is None else to)
    if wanted.number == last.number:
        raise Conflict("version", f"{wanted.number} is the newest already")
    flow.document = wanted.document
    text = f"back to version {wanted.number}{f': {note}' if note else ''}"
    version, problems = await publishing.publish(session, flow, source=_source(wanted), note=text)
    return Published(_shown(version, flow, version), tuple(problems))


async def versions(session: AsyncSession, key: str | int) -> list[dict[str, Any]]:
    """Newest first, without documents. Raises NotFound."""
    flow = await _flow(session, key)
    last = await newest(session, flow.id or 0)
    version = m.FlowVersion
    query = select(version).where(col(version.flow_id) == flow.id).order_by(col(version.number).desc())
    return [_shown(each, flow, last) for each in (await session.exec(query.limit(_MOST_LISTED))).all()]


async def show(session: AsyncSession, key: str | int, number: int | str | None = None) -> dict[str, Any]:
    """A version with its document and its text; None: the newest. `draft`: what would be published. Raises NotFound."""
    flow = await _flow(session, key)
    last = await newest(session, flow.id or 0)
    if number == DRAFT:
        shown = {"flow": flow.name, "flow_id": flow.id, "number": None, "active": False}
        return {**shown, "document": flow.document, "source": await asyncio.to_thread(as_text, flow.document)}
    if number is None and last is None:
        raise NotFound("version", f"flow {flow.name!r} was never published")
    version = last if number is None and last is not None else await _version(session, flow, number)
    source = await asyncio.to_thread(_source, version)
    return {**_shown(version, flow, last), "document": version.document, "source": source}


async def diff(
    session: AsyncSession, key: str | int, old: int | str | None = None, new: int | str | None = None
) -> str:
    """Unified diff of two documents; by default of what calls run and the draft. Empty where they are the same.

    Comments and layout are left out of it. Raises NotFound, Invalid.
    """
    flow = await _flow(session, key)
    last = await newest(session, flow.id or 0)
    if old is None:
        before: tuple[str, Any] = (f"version {last.number}", last.document) if last is not None else ("nothing", {})
    else:
        before = await _side(session, flow, old)
    after = await _side(session, flow, DRAFT if new is None else new)
    texts = [await asyncio.to_thread(as_text, document) if document else "" for _, document in (before, after)]
    names = [f"{flow.name} ({name})" for name, _ in (before, after)]
    found = await asyncio.to_thread(_unified, texts[0], texts[1], names[0], names[1])
    return "\n".join(found) + ("\n" if found else "")


async def check(session: AsyncSession, text: str) -> list[dict[str, Any]]:
    """The problems of a document's text, as `dcx flows check` tells them."""
    known = await known_of(session)
    _, problems = await asyncio.to_thread(check_document, text, known)
    return [problem_json(each) for each in problems]


def _unified(old: str, new: str, old_name: str, new_name: str) -> list[str]:
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""))


async def check_data(session: AsyncSession, data: Any) -> list[dict[str, Any]]:
    """As `check`, of a document that is plain data: without places."""
    known = await known_of(session)
    _, problems = await asyncio.to_thread(check_source, Source(data), known)
    return [problem_json(each) for each in problems]


async def drawable(session: AsyncSession, key: str | int, side: int | str | None = None) -> dict[str, Any]:
    """As `show`: the version that is asked for, else the newest, else the draft."""
    if side is None and await newest(session, (await _flow(session, key)).id or 0) is None:
        side = DRAFT
    return await show(session, key, side)


def number_of(text: str | int, field: str = "version") -> int:
    """A version's number. Raises Invalid."""
    words = str(text).strip()
    if not (words.isascii() and words.isdigit() and len(words) <= 10 and 0 < int(words) <= _HIGHEST):
        raise Invalid(field, "must be the number of a version, such as 3")
    return int(words)


def side_of(text: str, field: str) -> int | str:
    """`draft`, or a version's number. Raises Invalid."""
    return DRAFT if text == DRAFT else number_of(text, field)


async def _side(session: AsyncSession, flow: m.Flow, side: int | str) -> tuple[str, Any]:
    if side == DRAFT:
        return DRAFT, flow.document
    version = await _version(session, flow, side)
    return f"version {version.number}", version.document


async def _flow(session: AsyncSession, key: str | int, *, lock: bool = False) -> m.Flow:
    row = await find(session, RESOURCES["flows"], key, lock=lock)
    assert isinstance(row, m.Flow)  # noqa: S101  what the table of resources says
    return row


async def _version(session: AsyncSession, flow: m.Flow, number: int | str | None) -> m.FlowVersion:
    version = m.FlowVersion
    wanted = number_of(number or "")
    query = select(version).where(col(version.flow_id) == flow.id, col(version.number) == wanted)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound("version", f"flow {flow.name!r} has no version {wanted}")
    return found


async def _before(session: AsyncSession, last: m.FlowVersion) -> int:
    number = col(m.FlowVersion.number)
    query = select(number).where(col(m.FlowVersion.flow_id) == last.flow_id, number < last.number)
    found = (await session.exec(query.order_by(number.desc()).limit(1))).first()
    if found is None:
        raise Conflict("version", f"there is none before version {last.number}")
    return int(found)


def _check_note(note: str) -> None:
    check_text("note", note)
    if len(note) > _LONGEST_NOTE:
        raise Invalid("note", f"must be at most {_LONGEST_NOTE} characters")


def _source(version: m.FlowVersion) -> str:
    return as_text(version.document) if version.source is None else version.source


def _shown(version: m.FlowVersion, flow: m.Flow, last: m.FlowVersion | None) -> dict[str, Any]:
    return {
        "flow": flow.name,
        "flow_id": flow.id,
        "number": version.number,
        "active": flow.status == "published" and last is not None and last.number == version.number,
        "note": version.note,
        "published_at": rfc3339(version.published_at),
        "published_by": version.published_by,
    }
