"""What `dcx doctor` finds: checks run side by side, each bounded, none ever with a traceback.

Here are the checks of what is ours: Python, home, database, configuration. `dcx_ari/doctor.py` looks at what runs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import text
from sqlmodel import col, func, select

from dcx_ari.settings import Settings
from dcx_ari.store import models as m
from dcx_ari.store.db import Database, open_database, parse_url
from dcx_ari.store.errors import StoreError, translate
from dcx_ari.store.migrate import head, revision, revisions
from dcx_ari.store.snapshot import load

State = Literal["ok", "warning", "wrong"]
Check = Callable[[Settings], Awaitable["Finding | Sequence[Finding]"]]

OLDEST_PYTHON = (3, 11)
_FREE_WRONG, _FREE_WARNING = 200 << 20, 2 << 30
_LOCK_S, _INTEGRITY_S = 2.0, 5.0


class Finding(NamedTuple):
    """What a check found; `mend` says what to do where it is not ok."""

    state: State
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A finding with the name of the part it is about."""

    check: str
    state: State
    text: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def examine(checks: Sequence[tuple[str, Check]], settings: Settings, *, timeout_s: float = 20.0) -> list[Line]:
    """All checks at the same time, in their own order in the answer."""
    found = await asyncio.gather(*(_bounded(check, settings, timeout_s) for _, check in checks))
    return [Line(name, *each) for (name, _), findings in zip(checks, found, strict=True) for each in findings]


async def _bounded(check: Check, settings: Settings, timeout_s: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(timeout_s):
            found = await check(settings)
    except TimeoutError:
        return [
            Finding(
                "wrong", f"no answer within {timeout_s:g} s", "Is the machine overloaded, or a disk or network away?"
            )
        ]
    except StoreError as error:
        return [Finding("wrong", str(error), "See what is said of the database.")]
    except Exception as error:  # the boundary: a check that fails is a finding, not the end of the doctor
        words = (str(error).splitlines() or [type(error).__name__])[0]
        return [Finding("wrong", f"the check itself failed: {type(error).__name__}: {words}", "Please report this.")]
    return [found] if isinstance(found, Finding) else found


async def python(_: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return Finding("wrong", f"Python {version}", f"Install DCX with Python {wanted} or newer.")
    return Finding("ok", f"Python {version}")


async def home(settings: Settings) -> Finding:
    return await asyncio.to_thread(_home, settings.home)


def _home(path: Path) -> Finding:
    there = next(p for p in (path, *path.parents) if p.exists())
    mend = f"Give {there} to this user, or name another directory with --home or DCX_HOME."
    if not there.is_dir():
        return Finding("wrong", f"{there} is not a directory", "Move it away, or name another DCX_HOME.")
    try:
        if there == path:
            with tempfile.TemporaryFile(dir=there):
                pass
        elif not os.access(there, os.W_OK | os.X_OK):
            return Finding("wrong", f"{path} cannot be made: {there} is not writable", mend)
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("wrong", f"{path} is not writable: {error.strerror}", mend)
    if free < _FREE_WARNING:
        state: State = "wrong" if free < _FREE_WRONG else "warning"
        return Finding(state, f"{path}: only {free >> 20} MB free", "Make room: recordings take 2 MB a minute.")
    made = "" if there == path else " (made at the first start)"
    return Finding("ok", f"{path} is writable, {free / 2**30:.0f} GB free{made}")


async def database(settings: Settings) -> Sequence[Finding]:
    url = parse_url(settings.database_url)
    if url.drivername.startswith("sqlite"):
        return await asyncio.to_thread(_sqlite, Path(str(url.database)))
    opened = open_database(settings.database_url)
    try:
        if (found := await revision(opened)) is None:
            return [Finding("warning", f"{opened.where} is empty", "Tables are made by dcx up, or any other command.")]
        async with opened.write_connection() as connection:
            await connection.execute(text("UPDATE config_version SET version = version"))
        return [_revision(found, opened.where), Finding("ok", "can be written")]
    finally:
        await opened.close()


def _sqlite(path: Path) -> list[Finding]:
    if not path.exists():
        return [Finding("warning", f"{path} does not exist yet", "It is made by dcx up, or by any other command.")]
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_LOCK_S, isolation_level=None)) as db:
            revision = db.execute("SELECT max(version_num) FROM alembic_version").fetchone()[0]
            return [_revision(revision, str(path)), _writable(db, path), _intact(db, path)]
    except sqlite3.Error as error:
        known = translate(error, str(path))
        return [
            Finding("wrong", str(known or error), "Restore the file from a backup, or name another DCX_DATABASE_URL.")
        ]


def _revision(found: str | None, where: str) -> Finding:
    if found == head():
        return Finding("ok", f"{where} has the schema {found}")
    if found not in revisions():
        return Finding("wrong", f"{where} was made by a newer DCX (schema {found})", "Upgrade dcx.")
    return Finding("warning", f"{where} has the schema {found}, the newest is {head()}", "It is migrated by dcx up.")


def _writable(db: sqlite3.Connection, path: Path) -> Finding:
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE config_version SET version = version")
        db.execute("ROLLBACK")
    except sqlite3.Error as error:
        busy = "locked" in str(error)
        mend = "Another process writes for a long time: find it (fuser)." if busy else f"Give {path} to this user."
        return Finding("wrong", str(translate(error, str(path)) or error), mend)
    return Finding("ok", "can be written")


def _intact(db: sqlite3.Connection, path: Path) -> Finding:
    deadline = time.monotonic() + _INTEGRITY_S
    db.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
    try:
        told = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return Finding("ok", f"no damage found in {_INTEGRITY_S:g} s; larger than could be read whole")
    if told != "ok":
        return Finding("wrong", f"{path} is damaged: {told}", "Stop dcx and restore the file from a backup.")
    return Finding("ok", "no damage found")


async def configuration(settings: Settings) -> Sequence[Finding]:
    """At least one active number, campaign, buyer and trunk, and rows that can be read."""
    with existing(settings) as opened:
        if opened is None:
            return [Finding("warning", "nothing is configured yet", "See dcx demo, or dcx trunks add --help.")]
        try:
            return [*await _counted(opened), *await _trunks(opened), *await _problems(opened, settings.timezone)]
        finally:
            await opened.close()


@contextmanager
def existing(settings: Settings) -> Iterator[Database | None]:
    """The database, but never made by looking at it."""
    url = parse_url(settings.database_url)
    if url.drivername.startswith("sqlite") and not Path(str(url.database)).exists():
        yield None
    else:
        yield open_database(settings.database_url)


_WANTED: tuple[tuple[str, type[Any], str], ...] = (
    ("numbers", m.Number, "dcx numbers add +15551234567 --campaign NAME"),
    ("campaigns", m.Campaign, "dcx campaigns add NAME"),
    ("buyers", m.Buyer, "dcx buyers add NAME --endpoint +15551234567"),
)


async def _counted(opened: Database) -> list[Finding]:
    counts = []
    async with opened.read() as session:
        for name, model, mend in _WANTED:
            query = select(func.count()).select_from(model).where(col(model.status) == "ACTIVE")
            n = (await session.exec(query)).one()
            counts.append((name, n, mend))
    missing = [Finding("warning", f"no active {name}", f"Add one: {mend}") for name, n, mend in counts if not n]
    there = ", ".join(f"{n} {name}" for name, n, _ in counts if n)
    return [*([Finding("ok", f"active: {there}")] if there else []), *missing]


async def _trunks(opened: Database) -> list[Finding]:
    async with opened.read() as session:
        rows = (await session.exec(select(m.Trunk).where(col(m.Trunk.status) == "ACTIVE"))).all()
    if not rows:
        return [Finding("warning", "no active trunk", "Add one: dcx trunks add NAME --host ADDRESS --default")]
    if not any(row.is_default for row in rows) and len(rows) > 1:
        return [Finding("warning", f"none of {len(rows)} trunks is the default", "dcx trunks set NAME --default")]
    return [Finding("ok", f"{len(rows)} active trunk{'s' if len(rows) > 1 else ''}")]


async def _problems(opened: Database, zone: str) -> list[Finding]:
    problems = (await load(opened, zone)).snapshot.problems
    return [
        Finding("wrong", f"{p.table} {p.id} is left out: {p.message}", "Mend the row with dcx … set, or remove it.")
        for p in problems[:5]
    ]
