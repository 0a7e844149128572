"""A migrated database, copied for each test, and `dcx` in a terminal of its own."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from dcx_ari.services import rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_cli.main import app

_PATIENCE_S = 60.0


def make_template(directory: Path) -> Path:
    path = directory / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


def open_copy(template: Path, home: Path) -> Database:
    shutil.copy(template, home / "dcx.db")
    return open_database(f"sqlite:///{home}/dcx.db")


async def add(database: Database, kind: str, **values: Any) -> dict[str, Any]:
    async with database.write() as session:
        return await rows.create(session, RESOURCES[kind], values)


class Terminal:
    """`dcx` on a pseudo terminal: what it asks is read, and answered."""

    def __init__(self, home: Path, *args: str) -> None:
        self.seen = ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks where threads run
            pid, self._fd = pty.fork()
        if pid == 0:
            _be_dcx(["--home", str(home), *args])
        self._pid = pid

    def until(self, text: str) -> None:
        """Read until `text` is on the screen after what was read before."""
        begin, end = len(self.seen), time.monotonic() + _PATIENCE_S
        while text not in self.seen[begin:]:
            ready, _, _ = select.select([self._fd], [], [], 1.0)
            more = self._read() if ready else ""
            assert not (ready and more is None), f"it ended before it said {text!r}:\n{self.seen}"
            assert time.monotonic() < end, f"it did not say {text!r}:\n{self.seen}"
            self.seen += more or ""

    def answer(self, *exchanges: tuple[str, str]) -> None:
        """(question, answer), one after the other."""
        for question, text in exchanges:
            self.until(question)
            os.write(self._fd, text.encode() + b"\n")

    def interrupt(self) -> None:
        os.write(self._fd, b"\x03")

    def end(self) -> int:
        """Read to the end; the exit status."""
        while (more := self._read()) is not None:
            self.seen += more
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> str | None:
        try:
            data = os.read(self._fd, 4096)
        except OSError:  # Linux says so when the other side is closed
            return None
        return data.decode(errors="replace").replace("\r", "") if data else None


def _be_dcx(args: list[str]) -> NoReturn:
    """In the child: the command line as a process of its own runs it, but with everything imported already."""
    status = 70
    try:
        for name in [name for name in os.environ if name.startswith("DCX_")]:
            del os.environ[name]
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        app(args, prog_name="dcx")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


def lines_with(text: str, words: Sequence[str]) -> list[str]:
    return [line.strip() for line in text.splitlines() if all(word in line for word in words)]
