"""A migrated database, copied for each test, and `dcx` in a terminal of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pty
import select
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcx_ari.services import rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_cli.main import app

_PATIENCE_S = 60.0
_IMPORTED = ["dcx_cli.init", "dcx_cli.sources", "dcx_cli.rows", "aiosqlite", "typer.testing", "pytest"]


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
    """`dcx` on a pseudo terminal: what it asks is read, and answered.

    Its process is forked from one that has imported everything and has no threads, so that it begins at once.
    """

    def __init__(self, home: Path, *args: str) -> None:
        self.seen = ""
        self._interrupted_at: float | None = None
        self._fd, self._other = pty.openpty()
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(_IMPORTED)
        self._process = processes.Process(
            target=_be_dcx, args=(os.ttyname(self._other), ["--home", str(home), *args]), daemon=True
        )
        self._process.start()

    def until(self, text: str) -> None:
        """Read until `text` is on the screen after what was read before."""
        begin, end = len(self.seen), time.monotonic() + _PATIENCE_S
        while text not in self.seen[begin:]:
            assert self._read() or self._process.is_alive(), f"it ended before it said {text!r}:\n{self.seen}"
            assert time.monotonic() < end, f"it did not say {text!r}:\n{self.seen}"

    def answer(self, *exchanges: tuple[str, str]) -> None:
        """(question, answer), one after the other."""
        for question, text in exchanges:
            self.until(question)
            os.write(self._fd, text.encode() + b"\n")

    def interrupt(self) -> None:
        """^C; and again each second until it ends: one that comes in the instant before a read begins is not seen
        before the next key, as everywhere.
        """
        os.write(self._fd, b"\x03")
        self._interrupted_at = time.monotonic()

    def end(self) -> int:
        """Read to the end; the exit status."""
        end = time.monotonic() + _PATIENCE_S
        while self._read() or self._process.is_alive():
            now = time.monotonic()
            assert now < end, f"it did not end:\n{self.seen}"
            if self._interrupted_at is not None and now - self._interrupted_at > 1 and self._process.is_alive():
                self.interrupt()
        self._process.join()
        while self._read(0.0):
            pass
        os.close(self._fd)
        os.close(self._other)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def _read(self, wait_s: float = 0.02) -> bool:
        """Whether there was something."""
        ready, _, _ = select.select([self._fd], [], [], wait_s)
        if ready:
            self.seen += os.read(self._fd, 4096).decode(errors="replace").replace("\r", "")
        return bool(ready)


def _be_dcx(terminal: str, args: list[str]) -> None:
    """In a process of its own: the command line, as in the terminal of that name."""
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)  # the first that a session opens is the one that ^C comes from
    for number in range(3):
        os.dup2(opened, number)
    for name in [name for name in os.environ if name.startswith("DCX_")]:
        del os.environ[name]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app(args, prog_name="dcx")


def lines_with(text: str, words: Sequence[str]) -> list[str]:
    return [line.strip() for line in text.splitlines() if all(word in line for word in words)]
