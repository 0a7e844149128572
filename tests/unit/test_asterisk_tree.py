"""Trees of unpacked packages: where things are in them, and what belongs in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcx_asterisk.cache import cache_dir
from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.fetch import _finish, present, tree_path
from dcx_asterisk.sets import ENGINE, PHONES, PackageSet
from dcx_asterisk.tree import Tree

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/sbin/thing"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def test_a_program_runs_through_the_trees_own_loader(root: Path) -> None:
    argv = Tree(root).command("thing", "-x", root / "y")
    assert argv[0] == str(root / "usr/lib64/ld-linux-x86-64.so.2")
    search = argv[argv.index("--library-path") + 1].split(":")
    assert search[0] == str(root / "usr/lib/x86_64-linux-gnu")
    assert argv[-3:] == [str(root / "usr/sbin/thing"), "-x", str(root / "y")]


def test_a_missing_program_is_named(root: Path) -> None:
    with pytest.raises(AsteriskError, match="no program other"):
        Tree(root).command("other")


def test_the_c_library_of_the_tree_finds_its_own_plug_ins(root: Path) -> None:
    environment = Tree(root).environment()
    assert environment["GCONV_PATH"].startswith(str(root))
    assert environment["PATH"] == os.environ["PATH"]


def test_links_lead_nowhere_but_into_the_tree(root: Path) -> None:
    (root / "usr/in").symlink_to("/usr/sbin/thing")
    (root / "usr/out").symlink_to("/etc/passwd")
    (root / "usr/near").symlink_to("sbin/thing")
    (root / "usr/sbin/junk").mkdir()
    one = PackageSet("x", ("x",), "usr/sbin/thing", prune=("usr/sbin/j*",), links=(("usr/extra", "sbin"),))
    _finish(one, root, {"x": "1"})
    assert os.readlink(root / "usr/in") == "sbin/thing"
    assert not (root / "usr/out").is_symlink()
    assert os.readlink(root / "usr/near") == "sbin/thing"
    assert os.readlink(root / "usr/extra") == "sbin"
    assert not (root / "usr/sbin/junk").exists()
    assert Tree(root).versions == {"x": "1"}


def test_a_set_without_its_program_is_not_finished(root: Path) -> None:
    with pytest.raises(AsteriskError, match=r"hold no usr/bin/x"):
        _finish(PackageSet("x", ("x",), "usr/bin/x"), root, {})
    assert not (root / "manifest.json").exists()


def test_interpreters_and_administration_are_left_out() -> None:
    for package in ("perl-base", "libperl5.42", "python3.14", "libsnmp45", "gnupg", "passwd", "libicu78"):
        assert not ENGINE.wants(package), package
    for package in ("asterisk", "asterisk-modules", "libc6", "libssl3t64", "libxml2-16", "libopus0", "libsrtp2-1"):
        assert ENGINE.wants(package), package
    for package in ("baresip-core", "sip-tester", "libre1", "libsndfile1", "libpcap0.8t64"):
        assert PHONES.wants(package), package


def test_a_tree_counts_only_when_it_is_whole(tmp_path: Path) -> None:
    assert present("engine", tmp_path) is None
    path = tree_path("engine", tmp_path)
    (path / "usr").mkdir(parents=True)
    assert present("engine", tmp_path) is None
    (path / "manifest.json").write_text("{}")
    assert present("engine", tmp_path) == Tree(path)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DCX_CACHE": "/c"}, "/c"),
        ({"DCX_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/dcx"),
        ({"XDG_CACHE_HOME": "relative"}, str(Path.home() / ".cache/dcx")),
        ({}, str(Path.home() / ".cache/dcx")),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], expected: str) -> None:
    assert cache_dir(environ) == Path(expected)
