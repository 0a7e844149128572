"""The ledger on PostgreSQL: the write lock is an advisory lock, and one sequence counts who had it.

The writing thread drives asyncpg on an event loop of its own. asyncpg takes no value of a neighbouring type (1 for
true, a NUL in a text), so each value is fitted to what its statement says that the parameter is.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import asyncpg
from sqlalchemy.engine import URL

from dcx_ari.store import postgres
from dcx_ari.store.db import describe
from dcx_ari.store.errors import postgres_is_down
from dcx_ari.store.ledger.tx import Params

T = TypeVar("T")

_IDLE_MS = "10000"  # a writer that was stopped in the middle of a transaction loses the lock
_SLOWEST_S = 30.0  # no answer: the connection is given up
_CLOSE_S = 1.0
_MAX_STATEMENTS = 400  # the journal's differ by the columns that they set
_BEGIN = f"BEGIN; {postgres.lock(postgres.LEDGER)}"
_TURN = "SELECT nextval('ledger_turns')"
_ESCAPED = re.compile(r"\\u(0000|d[89a-f])", re.IGNORECASE)


class PgLedger:
    """`LedgerDatabase` of a URL."""

    errors: tuple[type[Exception], ...] = (
        *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
        OSError,
    )
    reads_at_once = False

    def __init__(self, url: URL, timeout_s: float) -> None:
        self.where = describe(url)
        self._url = url
        self._timeout_s = timeout_s

    def connect(self, *, read_only: bool = False) -> "PgConnection":
        options = {"application_name": "dcx-ledger", "idle_in_transaction_session_timeout": _IDLE_MS}
        if read_only:
            options["default_transaction_read_only"] = "on"
        return PgConnection(self._url, self._timeout_s, **options)

    def is_down(self, error: Exception) -> bool:
        return isinstance(error, self.errors) and postgres_is_down(error)

    def passes(self, error: Exception) -> bool:
        return isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError))


class _Statement(NamedTuple):
    prepared: asyncpg.prepared_stmt.PreparedStatement
    fits: Sequence[tuple[int, Callable[[Any], Any]]]
    """Places whose values may have to be changed, and how."""

    def fit(self, params: Params) -> Params:
        if not self.fits:
            return params
        fitted = list(params)
        for place, change in self.fits:
            if fitted[place] is not None:
                fitted[place] = change(fitted[place])
        return fitted


class PgConnection:
    """`LedgerConnection` on asyncpg."""

    def __init__(self, url: URL, timeout_s: float, **settings: str) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._statements: dict[str, _Statement] = {}
        self._turn = -1
        try:
            self._db = self._do(postgres.connect(url, round(timeout_s * 1000), _SLOWEST_S, **settings))
        except BaseException:
            self._loop.close()
            raise

    def rows(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        statement = self._statement(sql)
        return [tuple(row) for row in self._do(statement.prepared.fetch(*statement.fit(params)))]

    def many(self, sql: str, params: Iterable[Params]) -> None:
        statement = self._statement(sql)
        self._do(statement.prepared.executemany([statement.fit(each) for each in params]))

    def begin(self) -> bool:
        """The turn is asked for under the lock: the next number is ours unless another had it in between."""
        self._do(self._db.execute(_BEGIN))
        known, self._turn = self._turn, self.rows(_TURN, ())[0][0]
        return bool(self._turn == known + 1)

    def begin_reading(self) -> None:
        self._do(self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))

    def commit(self) -> None:
        self._do(self._db.execute("COMMIT"))

    def rollback(self) -> None:
        if not self.lost and self._db.is_in_transaction():
            self._do(self._db.execute("ROLLBACK"))

    @property
    def lost(self) -> bool:
        return bool(self._db.is_closed())

    def close(self) -> None:
        try:
            with suppress(*PgLedger.errors, TimeoutError):
                self._loop.run_until_complete(self._db.close(timeout=_CLOSE_S))
            self._loop.run_until_complete(asyncio.sleep(0))  # the transport's last callback
        finally:
            self._loop.close()

    def _statement(self, sql: str) -> _Statement:
        found = self._statements.get(sql)
        if found is None:
            if len(self._statements) >= _MAX_STATEMENTS:
                self._statements.clear()
            prepared = self._do(self._db.prepare(_numbered(sql)))
            types = (each.name for each in prepared.get_parameters())
            fits = [(place, _FITS[name]) for place, name in enumerate(types) if name in _FITS]
            found = self._statements[sql] = _Statement(prepared, fits)
        return found

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(work)
        except TimeoutError:
            self._db.terminate()
            raise ConnectionError("no answer in time") from None


def _numbered(sql: str) -> str:
    """`?` as `$1`, `$2`, …; the ledger's SQL has no question mark elsewhere."""
    first, *rest = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))


def _fit_text(value: Any) -> Any:
    return postgres.clean(value) if isinstance(value, str) else value


def _fit_json(value: Any) -> Any:
    """JSONB refuses escapes of NUL and of half a surrogate pair, where JSON allows them."""
    text = postgres.clean(value)
    return json.dumps(postgres.cleaned(json.loads(text))) if _ESCAPED.search(text) else text


_FITS: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "text": _fit_text,
    "varchar": _fit_text,
    "json": _fit_json,
    "jsonb": _fit_json,
}
