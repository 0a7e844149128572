"""The per-user cache that all homes of DCX share, and its lock."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dcx_asterisk.errors import FetchFailed


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`DCX_CACHE`, else `$XDG_CACHE_HOME/dcx`, else `~/.cache/dcx`."""
    if given := environ.get("DCX_CACHE", ""):
        return Path(given).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: relative paths are invalid and ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "dcx"


@contextmanager
def locked(cache: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the cache for this process; `waiting` is called once if another process has it. Freed if we
    die."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FetchFailed(
            f"cannot write the cache {cache}: {error.strerror}", "Set DCX_CACHE to a directory of yours."
        ) from error
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)
