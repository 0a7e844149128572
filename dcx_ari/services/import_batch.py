"""A batch of rows of a file, prepared: parsed, and compared with what the database has. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import create_model
from sqlalchemy import Table, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.checking import checked
from dcx_ari.services.csv_layout import Layout, key_columns
from dcx_ari.services.csv_text import Row
from dcx_ari.services.errors import Invalid, Refused
from dcx_ari.services.find import find_id, resolve_refs
from dcx_ari.services.import_seen import Seen
from dcx_ari.services.parse import check_text, parse_fields
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.services.screens import screen_of
from dcx_ari.store.models.base import READ_ONLY

AT_A_STRETCH = 32
"""Rows checked before others get their turn: about two milliseconds."""
_NAMES_KEPT = 50_000
_NEAR = 100
"""So many unknown names get a proposal; it costs a look at all names."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row did not land. `row` is the number that a spreadsheet shows: the header is row 1."""

    row: int
    field: str
    rule: str

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row, "field": self.field, "message": f"{self.field}: {self.rule}"}


@dataclass(slots=True)
class Ready:
    """A row that may be written: `given` as it came, `values` parsed, over what row `row_id` (version) held."""

    row: int
    given: dict[str, Any]
    empty: dict[str, Any]
    key: Key = ()
    row_id: int | None = None
    version: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    alone: bool = False
    """Goes through the rules row by row."""


@dataclass(frozen=True, slots=True)
class Batch:
    ready: list[Ready]
    faults: list[Fault]


class Preparer:
    """Prepares the batches of one file. Names of other rows are looked up once."""

    def __init__(self, columns: Layout, seen: Seen) -> None:
        self._columns = columns
        self._resource = columns.resource
        self._seen = seen
        self._ids: dict[tuple[str, str], int | Invalid | None] = {}
        self._unknown = 0
        self._key = key_model(columns.resource)

    async def prepare(self, session: AsyncSession, taken: Sequence[Row]) -> Batch:
        batch = Batch([], [])
        ready = await asyncio.to_thread(self._read, taken, batch.faults)
        ready = [each for each in ready if await self._resolved(session, each, batch.faults)]
        ready = await asyncio.to_thread(self._keyed, ready, batch.faults)
        found = await existing(session, self._resource, [each.key for each in ready])
        ready = await self._parsed(session, ready, found, batch.faults)
        looked_at = await screen_of(self._resource)(session, [each.values for each in ready])
        for place, each in enumerate(ready):
            each.alone = place in looked_at or goes_alone(self._resource, each)
        batch.ready.extend(ready)
        return batch

    def _read(self, taken: Sequence[Row], faults: list[Fault]) -> list[Ready]:
        found = []
        for row in taken:
            try:
                given, empty = self._columns.given(row)
                for name, value in given.items():
                    check_text(name, value)
            except Invalid as error:
                faults.append(Fault(row.number, error.field, error.rule))
            else:
                found.append(Ready(row.number, given, empty))
        return found

    async def _resolved(self, session: AsyncSession, ready: Ready, faults: list[Fault]) -> bool:
        """Put ids where other rows are named."""
        for column, target in self._resource.refs.items():
            name = ref_name(column)
            if name in ready.empty:
                ready.empty[column] = ready.empty.pop(name)
            if name not in ready.given:
                continue
            found = await self._id_of(session, name, target, str(ready.given.pop(name)))
            if isinstance(found, Invalid):
                faults.append(Fault(ready.row, found.field, found.rule))
                return False
            ready.given[column] = found
        return True

    async def _id_of(self, session: AsyncSession, name: str, target: str, text: str) -> int | Invalid | None:
        if (name, text) not in self._ids:
            if len(self._ids) >= _NAMES_KEPT:
                self._ids.clear()
            self._ids[name, text] = await self._look_up(session, name, target, text)
        return self._ids[name, text]

    async def _look_up(self, session: AsyncSession, name: str, target: str, text: str) -> int | Invalid:
        found = await find_id(session, RESOURCES[target], text)
        if found is not None:
            return found
        self._unknown += 1
        if self._unknown <= _NEAR:
            try:
                await resolve_refs(session, self._resource, {name: text})
            except Invalid as error:
                return error
        return Invalid(name, f"there is no {RESOURCES[target].singular} {text[:100]!r}")

    def _keyed(self, ready: list[Ready], faults: list[Fault]) -> list[Ready]:
        """Those whose key can be read and is not in the file twice."""
        readable = []
        for each in ready:
            try:
                each.key = self._key_of(each)
            except Invalid as error:
                faults.append(Fault(each.row, error.field, error.rule))
            else:
                readable.append(each)
        firsts = self._seen.first([(each.row, each.key) for each in readable])
        for each, first in zip(readable, firsts, strict=True):
            if first != each.row:
                faults.append(Fault(each.row, key_name(self._resource), f"is in the file already, in row {first}"))
        return [each for each, first in zip(readable, firsts, strict=True) if first == each.row]

    def _key_of(self, ready: Ready) -> Key:
        values = dict(ready.given)
        if self._resource.key is None:
            self._resource.prepare(values, frozenset(ready.given))
        columns = key_columns(self._resource)
        parsed = parse_fields(self._key, {name: values[name] for name in columns if name in values}, strict=False)
        return tuple(parsed[name] for name in columns)

    async def _parsed(
        self, session: AsyncSession, ready: list[Ready], found: Mapping[Key, Mapping[str, Any]], faults: list[Fault]
    ) -> list[Ready]:
        good = []
        for place, each in enumerate(ready):
            if place % AT_A_STRETCH == 0:
                await asyncio.sleep(0)  # calls go first
            if (old := found.get(each.key)) is not None:
                each.row_id, each.version = old["id"], old["version"]
                each.before = {name: old[name] for name in self._resource.writable}
            before = {**each.before, **each.empty} if old is not None else {}
            try:
                each.values = await checked(session, self._resource, each.given, before, each.row_id, lookups=DONE)
            except Refused as error:
                faults.append(Fault(each.row, error.field, error.rule))
            else:
                good.append(each)
        return good


class LookedUp:
    """For `checked`: names have become ids, keys were compared, and a screen says whom the rules must still see."""

    async def refs(self, _session: AsyncSession, _resource: Resource, data: Mapping[str, Any]) -> dict[str, Any]:
        return dict(data)

    async def unique(
        self, _session: AsyncSession, _resource: Resource, _values: Mapping[str, Any], _row_id: int | None
    ) -> None: ...

    async def check(
        self, _session: AsyncSession, _resource: Resource, _values: Mapping[str, Any], _row_id: int | None
    ) -> None: ...


DONE = LookedUp()


def goes_alone(resource: Resource, ready: Ready) -> bool:
    """Rows with columns that only `rows.create` fills, and rows that are paused or resumed: others are told of it."""
    if resource.wrote is not None or set(table_of(resource).columns.keys()) - set(resource.writable) - READ_ONLY:
        return True
    return ready.row_id is not None and ready.before.get("status") != ready.values.get("status")


def key_model(resource: Resource) -> type[SQLModel]:
    """The fields of the key as a model of their own."""
    fields = {name: resource.fields.model_fields[name] for name in key_columns(resource)}
    given: dict[str, Any] = {name: (each.annotation, each) for name, each in fields.items()}
    return create_model(f"{resource.fields.__name__}Key", __base__=SQLModel, **given)


def key_name(resource: Resource) -> str:
    """The field that errors about the key name."""
    first = key_columns(resource)[0]
    return ref_name(first) if first in resource.refs else first


def table_of(resource: Resource) -> Table:
    table: Table = resource.model.metadata.tables[resource.table]
    return table


async def existing(
    session: AsyncSession, resource: Resource, keys: Sequence[Key], *, whole: bool = True, lock: bool = False
) -> dict[Key, dict[str, Any]]:
    """What the table has under these keys: id and version, and with `whole` all fields. `lock`: until the commit."""
    if not keys:
        return {}
    table, columns = table_of(resource), key_columns(resource)
    where = [table.c[name].in_(values) for name, values in telling(columns, keys).items()]
    asked = [table] if whole else [table.c.id, table.c.version, *(table.c[name] for name in columns)]
    query = select(*asked).where(*where)
    connection = await session.connection()
    found = (await connection.execute(query.with_for_update() if lock else query)).mappings().all()
    wanted = set(keys)
    by_key = {tuple(row[name] for name in columns): dict(row) for row in found}
    return {key: row for key, row in by_key.items() if key in wanted}


def telling(columns: Sequence[str], keys: Sequence[Key]) -> dict[str, set[Any]]:
    """What to ask an index for: of many keys the column that tells them apart best, of one all that it has.

    More conditions, or one for empty values, would have SQLite go by an index that half of the table is in.
    """
    values = {name: {key[place] for key in keys} for place, name in enumerate(columns)}
    filled = {name: among for name, among in values.items() if None not in among}
    if len(keys) == 1:
        return filled
    best = max(filled, key=lambda name: len(filled[name]))
    return {best: filled[best]}
