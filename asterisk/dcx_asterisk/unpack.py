"""Unpack .deb files side by side into one tree."""

# ruff: noqa: S603, S607 - fixed programs of the machine, no shell

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dcx_asterisk.errors import FetchFailed

_LEAVE_OUT = (
    "doc",
    "man",
    "locale",
    "info",
    "lintian",
    "bug",
    "bash-completion",
    "perl",
    "perl5",
    "vim",
    "gdb",
    "doc-base",
)


def unpack(debs: Path, root: Path, done: Callable[[int, int], None]) -> None:
    """Unpack every .deb of a directory into `root` (made here); `done` gets how many of how many."""
    root.mkdir()
    files = sorted(debs.glob("*.deb"))
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 1)) as pool:
        for count, _ in enumerate(pool.map(lambda deb: _one(deb, root), files), start=1):
            done(count, len(files))


def _one(deb: Path, root: Path) -> None:
    leave_out = [f"--exclude=./usr/share/{name}" for name in _LEAVE_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as archive:
        tar = subprocess.run(
            [
                "tar",
                "-x",
                "-C",
                str(root),
                "--keep-directory-symlink",
                "--no-same-owner",
                "--no-same-permissions",
                *leave_out,
            ],
            stdin=archive.stdout,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if tar.returncode != 0 or archive.returncode != 0:
        raise FetchFailed(
            f"could not unpack {deb.name}: {tar.stderr.strip()[:500]}",
            "Make room on the disk and run the command again.",
        )
