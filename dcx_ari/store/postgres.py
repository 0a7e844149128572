"""PostgreSQL through asyncpg: how every connection is made, and what its locks are.

SQLite lets one transaction write at a time, and the store counts on it (look, then write). Here a transaction-level
advisory lock is that one writer's place: one for sessions, another for the ledger, so that a long import does not keep
calls waiting. See https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL

from dcx_ari.store.errors import StoreError, translate

if TYPE_CHECKING:
    import asyncpg

_SPACE = 0x444358  # "DCX": the first half of the locks' keys
SESSIONS, LEDGER = 1, 2
CONNECT_TIMEOUT_S = 5.0
_SSL = {"true": "require", "false": "disable"}


def lock(which: int) -> str:
    """The statement that waits for a lock, and keeps it until the transaction ends."""
    return f"SELECT pg_advisory_xact_lock({_SPACE}, {which})"


def dsn(url: URL) -> str:
    """The URL as libpq and asyncpg read it; SQLAlchemy's `?ssl=` is their `sslmode`. It carries the password."""
    query: dict[str, Any] = dict(url.query)
    if "ssl" in query:
        given = query.pop("ssl")
        query.setdefault("sslmode", _SSL.get(given, given))
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)


async def connect(
    url: URL, lock_timeout_ms: int, command_timeout_s: float | None = None, **settings: str
) -> asyncpg.Connection[Any]:
    """A connection; `settings` are the server's, for this connection. Raises StoreError."""
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise StoreError("database url: asyncpg is not installed: pip install 'dcx-ari[postgres]'") from None
    where = url.render_as_string()  # without the password
    wanted = {"application_name": "dcx", "jit": "off", "lock_timeout": str(lock_timeout_ms), **settings}
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            made = await asyncpg.connect(
                dsn(url), server_settings=wanted, timeout=CONNECT_TIMEOUT_S, command_timeout=command_timeout_s
            )
            # Sums of big integers are numeric here: as in SQLite, whole numbers are ints and averages floats.
            await made.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")
    except TimeoutError:
        raise StoreError(f"database {where} does not answer: no connection in time", retry=True) from None
    except (asyncpg.ClientConfigurationError, ValueError):
        raise StoreError(f"database url: {where} cannot be understood") from None
    except (OSError, asyncpg.PostgresError) as error:
        raise translate(error, where) or StoreError(f"database {where} refuses: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise StoreError(f"database {where} does not answer: the connection was lost", retry=True) from error
    return made


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def cleaned(value: Any) -> Any:
    """As `clean`, for all text in lists, tuples and dicts."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (list, tuple)):
        return type(value)(cleaned(each) for each in value)
    return {cleaned(key): cleaned(each) for key, each in value.items()} if isinstance(value, dict) else value


def clean(text: str) -> str:
    """Text that PostgreSQL takes: it keeps no NUL, and no half of a surrogate pair. Callers can send both."""
    if "\x00" in text or not text.isascii():
        return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return text
