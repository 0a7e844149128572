"""CSV files into rows: made or changed by the key of their kind, each row checked as if it came alone.

Batch by batch a file is parsed and compared with the database without a lock, and what is good is written in one
short transaction, so that calls go on beside an import of any size. With `atomic` all batches are prepared first and
then written in one transaction, or not at all.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import IO, Any

from dcx_ari.services.csv_layout import Layout, layout
from dcx_ari.services.csv_text import Row, read_rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.import_batch import Batch, Fault, Preparer, Ready
from dcx_ari.services.import_seen import Seen
from dcx_ari.services.import_write import Made, apply
from dcx_ari.services.resources import Resource, ref_name
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError

BATCH = 200
"""Rows of one transaction: some tens of milliseconds, which calls can wait."""
ATOMIC_ROWS = 10_000
"""Most rows of an import that lands all or none: it holds SQLite's only write lock, and calls wait for it."""
MOST_ERRORS = 10_000
"""So many errors are told one by one; the others are counted."""
_RETRIES = 5
_PAUSE_S = 0.2


@dataclass
class Report:
    """What an import did, or with `dry_run` would do. `failed` rows were left out, each with an entry in `errors`."""

    dry_run: bool = False
    atomic: bool = False
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[Fault] = field(default_factory=list)

    def refuse(self, faults: list[Fault]) -> None:
        self.failed += len(faults)
        self.errors = sorted([*self.errors, *faults], key=lambda fault: fault.row)[:MOST_ERRORS]

    @property
    def landed(self) -> bool:
        """False: an atomic import that was refused, so nothing was written."""
        return not (self.atomic and self.failed)

    def as_json(self) -> dict[str, Any]:
        made = {name: getattr(self, name) for name in ("created", "updated", "unchanged", "failed", "rows")}
        return {**made, "dry_run": self.dry_run, "errors": [fault.as_json() for fault in self.errors]}


class _Undo(Exception):
    """Takes a transaction back."""


async def import_csv(
    database: Database,
    resource: Resource,
    file: IO[bytes],
    *,
    dry_run: bool = False,
    atomic: bool = False,
    encoding: str | None = None,
) -> Report:
    """Make or change rows from a CSV file that can be wound back. The database's `info` says who acts.

    Raises Invalid for a file whose header cannot be used, and for an atomic import of more than ATOMIC_ROWS rows.
    """
    report = Report(dry_run, atomic)
    known = [*resource.writable, *map(ref_name, resource.refs)]
    with closing(read_rows(file, known, encoding)) as rows, Seen() as seen:
        header = await asyncio.to_thread(next, rows, None)
        if header is None or not (any(header.cells) or header.fault):
            raise Invalid("file", "must name the columns in its first row, which is empty")
        async with aclosing(_batches(database, layout(resource, header), rows, seen, report)) as batches:
            if atomic:
                await _all_or_none(database, resource, batches, report)
                return report
            async for batch in batches:
                report.refuse(batch.faults)
                await _write(database, resource, [batch.ready], report)
    return report


async def _batches(
    database: Database, columns: Layout, rows: Iterator[Row], seen: Seen, report: Report
) -> AsyncGenerator[Batch, None]:
    """The file in prepared batches. Empty rows are passed over."""
    preparer = Preparer(columns, seen)
    filled = (row for row in rows if row.fault or any(cell.strip() for cell in row.cells))
    while taken := await asyncio.to_thread(lambda: list(itertools.islice(filled, BATCH))):
        report.rows += len(taken)
        async with database.read() as session:
            batch = await preparer.prepare(session, taken)
        yield batch


async def _all_or_none(database: Database, resource: Resource, batches: AsyncIterator[Batch], report: Report) -> None:
    everything: list[list[Ready]] = []
    async for batch in batches:
        report.refuse(batch.faults)
        if report.rows > ATOMIC_ROWS:
            raise Invalid("atomic", f"takes at most {ATOMIC_ROWS} rows at once: calls would wait for the rest")
        everything.append(batch.ready)
    await _write(database, resource, everything, report)
    if report.failed:
        report.created = report.updated = report.unchanged = 0


async def _write(database: Database, resource: Resource, batches: list[list[Ready]], report: Report) -> None:
    """Write what was prepared, in one transaction; a database that is busy is asked again."""
    for attempt in itertools.count(1):
        try:
            await _write_once(database, resource, batches, report)
            return
        except StoreError as error:
            if not error.retry or attempt == _RETRIES:
                raise
            await asyncio.sleep(_PAUSE_S * attempt)


async def _write_once(database: Database, resource: Resource, batches: list[list[Ready]], report: Report) -> None:
    made: list[Made] = []
    faults: list[Fault] = []
    try:
        async with database.write() as session:
            for ready in batches:
                done = await apply(session, resource, ready)
                made += done.made
                faults += done.faults
            if report.dry_run or (report.atomic and (faults or report.failed)):
                raise _Undo
    except _Undo:
        pass
    report.refuse(faults)
    report.created += made.count("created")
    report.updated += made.count("updated")
    report.unchanged += made.count("unchanged")
