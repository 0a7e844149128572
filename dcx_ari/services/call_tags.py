"""Tags on calls: put on and taken off, of one call or of many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.calls import find_call, matching_ids, tags_of
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.find import find
from dcx_ari.services.listing import Query
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m

MOST_AT_ONCE = 10_000
"""Calls that one request may tag."""
_PART = 500


async def tag_call(session: AsyncSession, call_id: str, tags: Sequence[str | int]) -> list[dict[str, Any]]:
    """Put tags, each by name or id, on a call; all of its tags. Raises NotFound."""
    call = await find_call(session, call_id)
    await _add(session, [call.id], await _wanted(session, tags))
    return await tags_of(session, call.id)


async def untag_call(session: AsyncSession, call_id: str, tag: str | int) -> list[dict[str, Any]]:
    """Take a tag off; the tags that are left. Raises NotFound, also where the call has no such tag."""
    call = await find_call(session, call_id)
    wanted = await _wanted(session, [tag])
    if not await _remove(session, [call.id], wanted):
        raise NotFound("tag", f"call {call.id} has no tag {tag!r}")
    return await tags_of(session, call.id)


async def tag_calls(
    session: AsyncSession, tags: Sequence[str | int], *, ids: Sequence[str] = (), query: Query | None = None
) -> dict[str, int]:
    """Put tags on the calls with these ids, or on all that match. Raises NotFound, Invalid.

    `matched` counts the calls, `changed` those that did not have all of the tags.
    """
    wanted = await _wanted(session, tags)
    calls = await chosen(session, ids, query)
    return {"matched": len(calls), "changed": await _add(session, calls, wanted)}


async def untag_calls(
    session: AsyncSession, tags: Sequence[str | int], *, ids: Sequence[str] = (), query: Query | None = None
) -> dict[str, int]:
    """As `tag_calls`, taking off."""
    wanted = await _wanted(session, tags)
    calls = await chosen(session, ids, query)
    return {"matched": len(calls), "changed": await _remove(session, calls, wanted)}


async def chosen(session: AsyncSession, ids: Sequence[str], query: Query | None) -> list[str]:
    """Ids of calls that are named, or that match. Raises NotFound for one that is not there, Invalid."""
    if bool(ids) == (query is not None):
        raise Invalid("ids", "name calls by ids or by filters, one of the two")
    if query is not None:
        if not any(query.filters.values()) and not query.search.strip():
            raise Invalid("filters", "must name at least one: all calls at once is seldom meant")
        return await matching_ids(session, query, MOST_AT_ONCE)
    if len(ids) > MOST_AT_ONCE:
        raise Invalid("ids", f"must be at most {MOST_AT_ONCE}")
    return [(await find_call(session, each)).id for each in dict.fromkeys(ids)]


async def _wanted(session: AsyncSession, tags: Sequence[str | int]) -> dict[int, str]:
    if not tags:
        raise Invalid("tags", "must name at least one")
    found: dict[int, str] = {}
    for each in tags:
        row = await find(session, RESOURCES["call-tags"], each)
        found[row.id or 0] = str(row.model_dump()["name"])
    return found


async def _have(session: AsyncSession, ids: Sequence[str], tags: Mapping[int, str]) -> set[tuple[str, int]]:
    link = m.CallSessionTag
    found: set[tuple[str, int]] = set()
    for start in range(0, len(ids), _PART):
        rows = select(link.call_session_id, link.tag_id).where(
            col(link.call_session_id).in_(ids[start : start + _PART]), col(link.tag_id).in_(list(tags))
        )
        found |= {(row[0], row[1]) for row in (await session.exec(rows)).all()}
    return found


async def _add(session: AsyncSession, ids: Sequence[str], tags: Mapping[int, str]) -> int:
    have = await _have(session, ids, tags)
    now, actor = now_ms(), session.info.get("actor", audit.SYSTEM)
    connection = await session.connection()
    insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
    new = {each: [tag for tag in tags if (each, tag) not in have] for each in ids}
    rows = [
        {"call_session_id": each, "tag_id": tag, "created_by": actor.name, "created_at": now}
        for each, missing in new.items()
        for tag in missing
    ]
    for start in range(0, len(rows), _PART):
        await session.exec(insert(m.CallSessionTag).values(rows[start : start + _PART]).on_conflict_do_nothing())
    changed = [each for each, missing in new.items() if missing]
    for each in changed:
        await audit.record(session, "call.tagged", "call", each, None, {"tags": [tags[tag] for tag in new[each]]})
    return len(changed)


async def _remove(session: AsyncSession, ids: Sequence[str], tags: Mapping[int, str]) -> int:
    have = await _have(session, ids, tags)
    link = m.CallSessionTag
    changed = sorted({call_id for call_id, _ in have})
    for start in range(0, len(changed), _PART):
        part = changed[start : start + _PART]
        gone = delete(link).where(col(link.call_session_id).in_(part), col(link.tag_id).in_(list(tags)))
        await session.exec(gone)
    for each in changed:
        names = [tags[tag] for tag in tags if (each, tag) in have]
        await audit.record(session, "call.untagged", "call", each, {"tags": names}, None)
    return len(changed)
