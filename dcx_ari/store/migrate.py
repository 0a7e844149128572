"""Bring a database to the newest schema, with the migrations that ship in the package.

Revisions are numbered files (`0001_initial.py`), one line of history. The revision is compared first, so that
the usual case (nothing to do) costs one query and does not import Alembic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from dcx_ari.store.db import Database, open_database
from dcx_ari.store.errors import StoreError, translate

MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The newest revision that this DCX knows."""
    return revisions()[-1]


def revisions() -> list[str]:
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


async def migrate(database: Database | str) -> str:
    """Apply what is missing, all or nothing, and return the revision. Raises StoreError.

    Two processes may do this at once: the second waits for the first and then finds nothing to do.
    """
    if isinstance(database, str):
        opened = open_database(database)
        try:
            return await migrate(opened)
        finally:
            await opened.close()
    try:
        current = await revision(database)
        if current != head():
            _check_known(current, database.where)
            async with database.write_connection() as connection:
                await connection.run_sync(_upgrade)
    except (DBAPIError, OSError) as error:
        raise translate(error, database.where) or _failed(error, database.where) from error
    return head()


async def revision(database: Database) -> str | None:
    """The schema that the database has now; None for an empty one. Raises StoreError."""
    with database.translated():
        async with database.engine.connect() as connection:
            return await connection.run_sync(_current)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _check_known(current: str | None, where: str) -> None:
    if current is not None and current not in revisions():
        raise StoreError(
            f"database {where} was made by a newer DCX (revision {current}, this one knows {head()}): "
            "upgrade dcx, or name another DCX_DATABASE_URL"
        )


def _failed(error: BaseException, where: str) -> StoreError:
    reason = str(getattr(error, "orig", error)).strip().splitlines()
    return StoreError(f"database {where} could not be migrated: {reason[0] if reason else 'no reason given'}")


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
