"""The Debian mirror is found in the machine's own apt configuration, whatever else that names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcx_asterisk.errors import NoMirror
from dcx_asterisk.mirror import KEYRINGS, find_mirror

pytestmark = pytest.mark.unit

DEB822 = """\
# A comment
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
FOREIGN = """\
deb https://packages.example.com/php/ bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/tools.gpg] https://apt.example.com bookworm main
deb http://apt.example.org/pub/repos/apt bookworm-pgdg main
deb http://archive.ubuntu.com/ubuntu noble main universe
"""


def make(root: Path, **files: str) -> Path:
    (root / "sources.list.d").mkdir()
    for name, text in files.items():
        where = root / "sources.list" if name == "list" else root / "sources.list.d" / name.replace("_", ".")
        where.write_text(text)
    return root


def test_deb822(tmp_path: Path) -> None:
    assert find_mirror(make(tmp_path, debian_sources=DEB822), {}).uri == "http://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb http://m.example/debian trixie main",
        "deb http://m.example/debian/ forky main non-free-firmware # ours",
        "  deb [ arch=amd64 ] http://m.example/debian stable contrib main",
        "deb-src http://other.example/debian sid main\ndeb http://m.example/debian sid main",
    ],
)
def test_one_line(tmp_path: Path, line: str) -> None:
    assert find_mirror(make(tmp_path, list=line + "\n"), {}).uri == "http://m.example/debian"


def test_others_that_use_debians_names_are_not_taken(tmp_path: Path) -> None:
    etc = make(tmp_path, list=FOREIGN, debian_sources=DEB822, a_list=FOREIGN)
    assert find_mirror(etc, {}).uri == "http://mirror.example/debian"


def test_a_mirror_signed_by_debian_goes_before_one_that_only_looks_like_it(tmp_path: Path) -> None:
    lines = (
        "deb http://copy.example/debian bookworm main\n"
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://odd.example/mirrors/deb bookworm main\n"
    )
    assert find_mirror(make(tmp_path, list=lines), {}).uri == "http://odd.example/mirrors/deb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        FOREIGN,
        "# deb http://m.example/debian bookworm main\n",
        "deb http://m.example/debian bookworm contrib\n",
        "deb http://m.example/debian bookworm-security main\n",
        "deb-src http://m.example/debian bookworm main\n",
    ],
)
def test_without_a_debian_entry_docker_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(NoMirror, match="names no Debian archive") as caught:
        find_mirror(make(tmp_path, list=text), {})
    assert "DCX_DEBIAN_MIRROR" in caught.value.hint
    assert "docker compose up" in caught.value.hint


def test_a_disabled_entry_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(NoMirror):
        find_mirror(make(tmp_path, debian_sources="Enabled: no\n" + DEB822.split("\n\n")[1]), {})


def test_no_apt_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoMirror):
        find_mirror(tmp_path / "none", {})


def test_the_variable_goes_first(tmp_path: Path) -> None:
    etc = make(tmp_path, debian_sources=DEB822)
    assert find_mirror(etc, {"DCX_DEBIAN_MIRROR": "http://mine.example/d/"}).uri == "http://mine.example/d"


def test_a_key_file_is_passed_on_and_an_inline_key_is_not(tmp_path: Path) -> None:
    key = tmp_path / "debian-archive-mine.gpg"
    key.write_text("")
    line = f"deb [signed-by={key}] http://m.example/debian bookworm main\n"
    assert find_mirror(make(tmp_path, list=line), {}).signed_by == str(key)
    (tmp_path / "sources.list").write_text("")
    inline = DEB822.split("\n\n")[1].replace("/usr/share/keyrings/debian-archive-keyring.gpg", "\n -----BEGIN PGP\n .")
    (tmp_path / "sources.list.d" / "d.sources").write_text(inline)
    assert find_mirror(tmp_path, {}).signed_by in ("", *KEYRINGS)
