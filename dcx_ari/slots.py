"""Slots: the names that workers have, one process at a time.

A lock on a file in the home says whether a slot has a process. The kernel lets it go when the process ends, however
that ends; so whoever gets the lock of another's slot knows that it is dead, and that it cannot come back as long as the
lock is held.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcx_ari.settings import Settings, SettingsError

_LOOK_S = 0.05


def slot_names(app_name: str, workers: int) -> list[str]:
    """The slots of so many workers: `dcx-0`, `dcx-1`, … for an application name `dcx` or `dcx-0`."""
    base = app_base(app_name)
    return [f"{base}-{number}" for number in range(workers)]


def app_base(app_name: str) -> str:
    """What the dialplan knows the engines by: `dcx` of `dcx-0`."""
    return app_name.rpartition("-")[0] or app_name


@contextmanager
def only_process(settings: Settings, name: str = "", *, wait_s: float = 0.3) -> Iterator[None]:
    """Keep a second process of the same slot (or `name`) out of this home: it would take the first one's calls, and
    stop its Asterisk. The lock goes with the process, however that ends.

    `wait_s`: how long to wait for somebody who takes over the slot's calls. Raises SettingsError, OSError.
    """
    name = name or settings.app_name
    settings.home.mkdir(parents=True, exist_ok=True)
    file = os.open(_path(settings.home, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock(file, wait_s):
            other = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            raise SettingsError(
                f"DCX_HOME: {settings.home} is in use: {name} runs as process {other}. Stop it, or name another home."
            )
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


@contextmanager
def if_dead(home: Path, slot: str) -> Iterator[bool]:
    """Whether the slot has no process, which stays so for the length of the block; False for a slot of another home."""
    try:
        file = os.open(_path(home, slot), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(file, 0.0)
    finally:
        os.close(file)


def other_slots(home: Path, slot: str) -> list[str]:
    """The slots of the same base name that were ever used in this home, but for this one."""
    names = (path.stem for path in home.glob(f"{app_base(slot)}-*.lock"))
    return sorted(name for name in names if name != slot)


def pid_of(home: Path, name: str) -> int | None:
    """The process that has the slot (or other lock) of this home; None where there is none."""
    try:
        file = os.open(_path(home, name), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(file, 0.0):
            return None
        return int(os.read(file, 32).decode(errors="replace").strip() or 0) or None
    except ValueError:
        return None
    finally:
        os.close(file)


def _path(home: Path, name: str) -> Path:
    return home / f"{name}.lock"


def _lock(file: int, wait_s: float) -> bool:
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        else:
            return True
