"""What `pip install` puts on a machine: the wheel, built from this tree and installed into an empty environment.

The dependencies are taken from the environment that runs the tests, so nothing is downloaded.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "dcx_ari": ROOT / "dcx_ari",
    "dcx_cli": ROOT / "cli/dcx_cli",
    "dcx_asterisk": ROOT / "asterisk/dcx_asterisk",
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("DCX_", "PYTHON"))}


@dataclass(frozen=True)
class Installed:
    wheel: Path
    bin: Path
    site: Path

    def run(self, *argv: str | Path, folder: Path) -> str:
        """Run a program of the environment, in a folder with nothing of ours in it; its output."""
        command = [str(self.bin / argv[0]), *map(str, argv[1:])]
        done = subprocess.run(
            command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    _python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").iterdir()
    _python("-m", "venv", "--without-pip", folder / "venv")
    bin_ = folder / "venv/bin"
    _python("-m", "pip", "--python", bin_ / "python", "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    # Read after the environment's own directory, and its .pth files (our editable install) not at all.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return Installed(wheel, bin_, site)


def _python(*argv: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, argv)], env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_three_names_and_no_others_are_installed(installed: Installed):
    names = {path.name for path in installed.site.iterdir() if path.suffix not in (".dist-info", ".pth")}
    assert names == set(PACKAGES)


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(installed: Installed):
    with zipfile.ZipFile(installed.wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    present = {
        f"{package}/{path.relative_to(source).as_posix()}"
        for package, source in PACKAGES.items()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == present
    assert {"dcx_ari/py.typed", "dcx_cli/py.typed", "dcx_asterisk/py.typed", "dcx_ari/examples/demo.yaml"} <= packed
    assert len(licences) == 1


def test_the_command_runs_from_the_wheel(installed: Installed, tmp_path: Path):
    out = installed.run("dcx", "--help", folder=tmp_path)
    assert "dcx [OPTIONS] COMMAND" in out
    where = installed.run("python", "-c", "import dcx_cli.main as m; print(m.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.site)


def test_the_migrations_come_along(installed: Installed, tmp_path: Path):
    home = tmp_path / "home"
    added = ("trunks", "add", "main", "--host", "192.0.2.1")
    assert "Added trunk 1" in installed.run("dcx", "--home", home, *added, folder=tmp_path)


def test_the_configuration_of_asterisk_comes_along(installed: Installed, tmp_path: Path):
    (tmp_path / "usr/lib/any/asterisk/modules").mkdir(parents=True)
    code = (
        "from pathlib import Path; from dcx_asterisk.instance import Instance; from dcx_asterisk.render import render;"
        "render(Instance(Path('home')), Path('.'))"
    )
    installed.run("python", "-c", code, folder=tmp_path)
    written = {path.name for path in (tmp_path / "home/etc").iterdir()}
    assert written == {path.name for path in (ROOT / "asterisk/dcx_asterisk/config").iterdir()}
    assert "extensions.conf" in written


def test_every_import_is_of_a_package_that_pip_installs_with_ours(installed: Installed):
    (info,) = installed.site.glob("dcx_ari-*.dist-info")
    ours = metadata.Distribution.at(info)
    brought = set(needed(ours.requires or []))
    assert "typer" in brought
    owners = metadata.packages_distributions()
    for package, source in PACKAGES.items():
        for name, path in imported(source):
            if name in PACKAGES or name in sys.stdlib_module_names:
                continue
            assert brought & {plain(each) for each in owners.get(name, [])}, f"{package}: {path.name} imports {name}"


def needed(requirements: list[str], seen: set[str] | None = None) -> Iterator[str]:
    """Names of distributions that these requirements bring along, and those that these need in turn."""
    seen = set() if seen is None else seen
    for requirement in requirements:
        name = plain(re.split(r"[^A-Za-z0-9_.-]", requirement)[0])
        if name in seen or re.search(r";.*python_version >= '3\.13'", requirement):
            continue
        seen.add(name)
        yield name
        if "extra ==" not in requirement:
            try:
                further = metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # for another system, or an optional one
                continue
            yield from needed([each for each in further if "extra ==" not in each], seen)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(source: Path) -> Iterator[tuple[str, Path]]:
    """Top-level names imported anywhere below a directory."""
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], path) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0], path
