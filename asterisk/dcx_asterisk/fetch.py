"""Fetch programs from Debian testing into the user's cache: no root, no container, nothing installed.

    tree = ensure("engine")              # ready at once if it was fetched before
    tree.command("asterisk", "-V")       # argv

A tree appears under its final name only when it is whole (unpacked elsewhere, then renamed), so a killed
fetch leaves nothing behind but a directory that the next one clears away.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dcx_asterisk.apt import Apt
from dcx_asterisk.cache import cache_dir, locked
from dcx_asterisk.errors import AsteriskError, FetchFailed
from dcx_asterisk.mirror import find_mirror
from dcx_asterisk.sets import SETS, PackageSet
from dcx_asterisk.tree import MANIFEST, Tree
from dcx_asterisk.unpack import unpack

_LAYOUT = 1  # raise it when what we do to a tree after unpacking changes
_ROOM = 6  # unpacked trees take about this many times their download, for a moment together with it


@dataclass(frozen=True)
class Progress:
    """One step of a fetch. `done` of `total`: bytes while downloading, packages while unpacking, else 0."""

    package_set: str
    step: Literal["waiting", "index", "download", "unpack", "ready"]
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


def tree_path(name: str, cache: Path | None = None) -> Path:
    """Where the tree of a package set is or would be. The name changes with what the set holds."""
    one = SETS[name]
    digest = hashlib.sha256(repr((_LAYOUT, one)).encode()).hexdigest()[:10]
    return (cache or cache_dir()) / "trees" / f"{name}-{digest}"


def present(name: str, cache: Path | None = None) -> Tree | None:
    """The tree of a package set if it has been fetched; no network, no waiting."""
    path = tree_path(name, cache)
    return Tree(path) if (path / MANIFEST).exists() else None


def ensure(name: str, report: Report = lambda _: None, cache: Path | None = None) -> Tree:
    """The tree of a package set (see `sets.SETS`), fetched first if need be.

    Blocks: call it in a thread from asyncio. Raises NoMirror or FetchFailed, both with a hint of what to do.
    """
    if found := present(name, cache):
        return found
    where = cache or cache_dir()
    with locked(where, lambda: report(Progress(name, "waiting"))):
        if found := present(name, where):  # the process we waited for fetched it
            return found
        try:
            _fetch(SETS[name], where, report)
        except OSError as error:
            raise FetchFailed(
                f"cannot write the cache {where}: {error.strerror or error}",
                "Make room there, or set DCX_CACHE to another directory.",
            ) from error
    report(Progress(name, "ready"))
    return Tree(tree_path(name, where))


def _fetch(one: PackageSet, cache: Path, report: Report) -> None:
    mirror = find_mirror()
    for left_over in cache.glob(".fetch-*"):  # we hold the lock: whoever made these is gone
        _clear_away(left_over)
    work = Path(tempfile.mkdtemp(prefix=".fetch-", dir=cache))
    try:
        apt = Apt(cache / "apt", mirror)
        report(Progress(one.name, "index"))
        apt.update()
        packages = [package for package in apt.resolve(one.packages) if one.wants(package.name)]
        total = sum(package.size for package in packages)
        _check_room(cache, total)
        debs = work / "debs"
        apt.download(packages, debs, lambda done: report(Progress(one.name, "download", min(done, total), total)))
        root = work / "root"
        unpack(debs, root, lambda done, count: report(Progress(one.name, "unpack", done, count)))
        _finish(one, root, {package.name: package.version for package in packages})
        target = tree_path(one.name, cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)  # only ever without a manifest: not a tree
        os.rename(root, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _clear_away(folder: Path) -> None:
    """Delete what a killed fetch left. Its last tar may live on for a moment and put files back meanwhile."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)


def _check_room(cache: Path, download: int) -> None:
    needed, free = download * _ROOM, shutil.disk_usage(cache).free
    if free < needed:
        raise FetchFailed(
            f"{cache} has {free >> 20} MB free, {needed >> 20} MB are needed",
            "Make room there, or set DCX_CACHE to another directory.",
        )


def _finish(one: PackageSet, root: Path, versions: dict[str, str]) -> None:
    """What maintainer scripts would have done, less what we never use; the manifest goes last."""
    for pattern in one.prune:
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    _inward(root)
    for where, target in one.links:
        (root / where).symlink_to(target)
    if not (root / one.program).exists():
        raise AsteriskError(
            f"the packages of {one.name} hold no {one.program}", "The archive has changed: report this."
        )
    (root / MANIFEST).write_text(json.dumps({"set": one.name, "packages": versions}, indent=1), encoding="utf-8")


def _inward(root: Path) -> None:
    """Point absolute symbolic links into the tree; drop those that would lead out of it."""
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(folder, name)
            if not path.is_symlink() or not os.path.isabs(target := os.readlink(path)):
                continue
            inside = root / target.lstrip("/")
            path.unlink()
            if inside.exists():
                path.symlink_to(os.path.relpath(inside, path.parent))
