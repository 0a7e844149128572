"""apt-get with a private configuration: it resolves and downloads, and never touches the machine's own
packages."""

# ruff: noqa: S603 - fixed programs of the machine, no shell

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from dcx_asterisk.errors import FetchFailed
from dcx_asterisk.mirror import Mirror

SUITE = "testing"  # stable Debian has no Asterisk package
_TIME_LIMIT_S = 900
# The machine's own configuration is still read first, for its proxies and credentials; these lines win.
_CONFIGURATION = """\
Dir::State "{home}/state";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "{home}/none";
Dir::Etc::preferences "{home}/none";
Dir::Etc::preferencesparts "{home}/none";
APT::Default-Release "";
APT::Install-Recommends "0";
APT::Install-Suggests "0";
APT::Sandbox::User "";
Acquire::Check-Valid-Until "0";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""


@dataclass(frozen=True)
class Package:
    """A package to download; `size` in bytes."""

    name: str
    version: str
    size: int


class Apt:
    """One private apt below `home` (its package lists stay there, so a second update is quick)."""

    def __init__(self, home: Path, mirror: Mirror) -> None:
        self._configuration = home / "apt.conf"
        self._mirror = mirror
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise FetchFailed(
                "this machine has no apt-get and dpkg-deb", "Use the containers instead: docker compose up"
            )
        for part in ("state/lists/partial", "cache/archives/partial"):
            (home / part).mkdir(parents=True, exist_ok=True)
        (home / "status").write_text("")  # empty: every dependency is resolved, whatever the machine has installed
        signed = f"[signed-by={mirror.signed_by}] " if mirror.signed_by else ""
        (home / "sources.list").write_text(f"deb {signed}{mirror.uri} {SUITE} main\n")
        self._configuration.write_text(_CONFIGURATION.format(home=home))

    def update(self) -> None:
        """Fetch the package lists of the suite; signatures are checked by apt."""
        output = self._run(["update"])
        # apt-get update succeeds with old lists (or none) when the mirror cannot be reached.
        if re.search(r"^(W: Failed to fetch|E: )", output, re.MULTILINE):
            raise self._failed("the package lists could not be downloaded", output)

    def resolve(self, packages: Iterable[str]) -> list[Package]:
        """The packages and everything they depend on."""
        found = []
        for line in self._run(["-qq", "--print-uris", "install", *packages]).splitlines():
            if match := re.match(r"'[^']+' ([^_ ]+)_([^_ ]+)_[^_ ]+\.deb (\d+)", line):
                name, version, size = match.groups()
                found.append(Package(name, unquote(version), int(size)))
        return found

    def download(self, packages: Sequence[Package], into: Path, done: Callable[[int], None]) -> None:
        """Download into a new directory, checked against the signed lists; `done` gets the bytes so far."""
        into.mkdir()
        log = into.parent / "download.log"
        wanted = [f"{package.name}={package.version}" for package in packages]
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(["-q", "download", *wanted]), cwd=into, stdout=output, stderr=output
            )
            try:
                deadline = time.monotonic() + _TIME_LIMIT_S
                while process.poll() is None and time.monotonic() < deadline:
                    done(sum(path.stat().st_size for path in into.iterdir()))
                    time.sleep(0.2)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        have = len(list(into.glob("*.deb")))
        if process.returncode != 0 or have < len(packages):
            raise self._failed(f"{have} of {len(packages)} packages were downloaded", log.read_text(errors="replace"))
        done(sum(package.size for package in packages))

    def _command(self, args: list[str]) -> list[str]:
        return ["apt-get", "-c", str(self._configuration), *args]

    def _run(self, args: list[str]) -> str:
        try:
            done = subprocess.run(
                self._command(args),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"apt-get {args[0]} took longer than {_TIME_LIMIT_S} s", "") from error
        output = done.stdout + done.stderr
        if done.returncode != 0:
            raise self._failed(f"apt-get {args[0]} failed", output)
        return output

    def _failed(self, what: str, output: str) -> FetchFailed:
        lines = [line for line in output.splitlines() if line[:2] in ("E:", "W:", "Er")] or output.splitlines()
        told = "\n".join(lines[:5])
        return FetchFailed(
            f"could not fetch from {self._mirror.uri}: {what}\n{told}".rstrip(),
            "Check that this machine reaches that mirror, then run the command again; "
            "or set DCX_DEBIAN_MIRROR to another one.",
        )
