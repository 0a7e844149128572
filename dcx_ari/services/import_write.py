"""Prepared rows of a file, written to the database in the order of the file.

Rows that need a look of their own go through `rows.create` and `rows.change`, like single ones; all between them are
written together. Rows that somebody else changed since they were prepared go through the rules once more.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import bindparam, insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit, rows
from dcx_ari.services.errors import Refused
from dcx_ari.services.import_batch import AT_A_STRETCH, Fault, Ready, existing, table_of
from dcx_ari.services.resources import Resource

Made = Literal["created", "updated", "unchanged"]


@dataclass(slots=True)
class Done:
    """What became of the rows."""

    made: list[Made] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


async def apply(session: AsyncSession, resource: Resource, ready: Sequence[Ready]) -> Done:
    """Write rows in the caller's transaction. A row that is refused leaves nothing behind."""
    done = Done()
    for alone, run in groupby(ready, lambda each: each.alone):
        if alone:
            for each in run:
                await _single(session, resource, each, done)
        else:
            await _together(session, resource, list(run), done)
    return done


async def _single(session: AsyncSession, resource: Resource, ready: Ready, done: Done) -> None:
    old = (await existing(session, resource, [ready.key], whole=False)).get(ready.key)
    try:
        async with session.begin_nested():
            if old is None:
                await rows.create(session, resource, ready.given)
            else:
                row = await rows.change(session, resource, old["id"], {**ready.empty, **ready.given})
    except Refused as error:
        done.faults.append(Fault(ready.row, error.field, error.rule))
    else:
        done.made.append("created" if old is None else "updated" if row["version"] != old["version"] else "unchanged")


async def _together(session: AsyncSession, resource: Resource, run: list[Ready], done: Done) -> None:
    found = await existing(session, resource, [each.key for each in run], whole=False, lock=True)
    now = {key: (row["id"], row["version"]) for key, row in found.items()}
    same = [each for each in run if now.get(each.key, (None, 0)) == (each.row_id, each.version)]
    try:
        async with session.begin_nested():
            made = await _write(session, resource, same)
    except IntegrityError:  # a rule that only the database knows: which row breaks it is found out one by one
        same, made = [], []
    done.made.extend(made)
    written = {each.row for each in same}
    for each in run:
        if each.row not in written:
            await _single(session, resource, each, done)


async def _write(session: AsyncSession, resource: Resource, run: list[Ready]) -> list[Made]:
    at_ms = now_ms()
    new = [each for each in run if each.row_id is None]
    changed = [(each, _changes(each)) for each in run if each.row_id is not None]
    real = [(each, changes) for each, changes in changed if changes]
    await _insert(session, resource, new, at_ms)
    await _update(session, resource, real, at_ms)
    if new or real:
        await rows.count_up(session, resource, at_ms)
    counts: list[Made] = ["created"] * len(new)
    return counts + ["updated"] * len(real) + ["unchanged"] * (len(changed) - len(real))


async def _insert(session: AsyncSession, resource: Resource, new: list[Ready], at_ms: int) -> None:
    if not new:
        return
    values = [{**each.values, "version": 1, "created_at": at_ms, "updated_at": at_ms} for each in new]
    await (await session.connection()).execute(insert(table_of(resource)), values)
    made = await existing(session, resource, [each.key for each in new], whole=False)
    kind = rows.kind_of(resource)
    for place, each in enumerate(new):
        if place % AT_A_STRETCH == 0:
            await asyncio.sleep(0)
        after = {name: each.values[name] for name in each.given}
        await audit.record(session, f"{kind}.created", kind, made[each.key]["id"], None, _shown(resource, after))


async def _update(
    session: AsyncSession, resource: Resource, changed: list[tuple[Ready, dict[str, Any]]], at_ms: int
) -> None:
    table, connection = table_of(resource), await session.connection()
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    kind = rows.kind_of(resource)
    for each, changes in changed:
        bound = {f"new_{name}": value for name, value in changes.items()}
        by_columns[tuple(changes)].append({"row_id": each.row_id, **bound})
        before = {name: each.before[name] for name in changes}
        shown = _shown(resource, before), _shown(resource, changes)
        await audit.record(session, f"{kind}.updated", kind, each.row_id, *shown)
    for names, values in by_columns.items():
        assigned = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
        query = update(table).where(table.c.id == bindparam("row_id"))
        await connection.execute(query.values(**assigned, version=table.c.version + 1, updated_at=at_ms), values)


def _changes(ready: Ready) -> dict[str, Any]:
    return {name: value for name, value in ready.values.items() if value != ready.before[name]}


def _shown(resource: Resource, values: dict[str, Any]) -> dict[str, Any]:
    return {name: audit.HIDDEN if name in resource.secrets else value for name, value in values.items()}
