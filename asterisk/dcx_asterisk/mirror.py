"""The Debian mirror of this machine, read from its own apt configuration."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcx_asterisk.errors import NoMirror

KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
)
_NOT_THE_ARCHIVE = re.compile(r"-(security|updates|backports|proposed)|/updates$|debian-security|pgdg")
_DOCKER = "Or use the containers instead, which need nothing from this machine: docker compose up"


@dataclass(frozen=True)
class Mirror:
    """Where Debian packages come from: base address, and the key file that signs them ("": apt's trusted
    keys)."""

    uri: str
    signed_by: str = ""


@dataclass(frozen=True)
class _Entry:
    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def find_mirror(etc_apt: Path = Path("/etc/apt"), environ: Mapping[str, str] = os.environ) -> Mirror:
    """The mirror to use: `DCX_DEBIAN_MIRROR`, else the entry of `etc_apt` that serves Debian's main archive.

    Raises NoMirror when there is none (another distribution, or no apt).
    """
    override = environ.get("DCX_DEBIAN_MIRROR", "").strip()
    if override:
        return Mirror(override.rstrip("/"), _default_keyring())
    best: tuple[int, Mirror] | None = None
    for entry in _entries(etc_apt):
        for uri in entry.uris:
            score = _score(entry, uri)
            if score and (best is None or score > best[0]):
                best = score, Mirror(uri.rstrip("/"), _keyring(entry.signed_by))
    if best is None:
        raise NoMirror(
            f"the apt configuration under {etc_apt} names no Debian archive to fetch Asterisk from",
            f"Set DCX_DEBIAN_MIRROR to the address of a Debian mirror. {_DOCKER}",
        )
    return best[1]


def _score(entry: _Entry, uri: str) -> int:
    """How surely an entry is Debian's main archive; 0: it is not. Third parties use Debian's suite names
    too."""
    if "deb" not in entry.types or "main" not in entry.components or _NOT_THE_ARCHIVE.search(uri):
        return 0
    if all(_NOT_THE_ARCHIVE.search(suite) for suite in entry.suites):
        return 0
    signed = 2 if "debian-archive" in entry.signed_by else 0
    named = 1 if uri.rstrip("/").endswith("/debian") or "snapshot.debian.org/" in uri else 0
    return signed + named


def _entries(etc_apt: Path) -> Iterator[_Entry]:
    parts = etc_apt / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        yield from _deb822(_read(path))
    for path in (etc_apt / "sources.list", *sorted(parts.glob("*.list"))):
        yield from _one_line(_read(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # missing or not ours to read: the same as not configured
        return ""


def _deb822(text: str) -> Iterator[_Entry]:
    """Entries of a .sources file (sources.list(5)): paragraphs of `Field: value`, continued by indented
    lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        field = ""
        for line in paragraph.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields[field] = f"{fields.get(field, '')} {line.strip()}"
            else:
                field, _, value = line.partition(":")
                field = field.strip().lower()
                fields[field] = value.strip()
        if not fields or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        yield _Entry(
            types=tuple(fields.get("types", "").split()),
            uris=tuple(fields.get("uris", "").split()),
            suites=tuple(fields.get("suites", "").split()),
            components=tuple(fields.get("components", "").split()),
            signed_by=fields.get("signed-by", ""),
        )


def _one_line(text: str) -> Iterator[_Entry]:
    """Entries of a .list file: `deb [option=value …] uri suite component …`."""
    for line in text.splitlines():
        match = re.match(r"\s*(deb|deb-src)\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match is None:
            continue
        kind, options, uri, suite, components = match.groups()
        given = dict(part.split("=", 1) for part in (options or "").split() if "=" in part)
        yield _Entry((kind,), (uri,), (suite,), tuple(components.split()), given.get("signed-by", ""))


def _keyring(signed_by: str) -> str:
    """The key file an entry names; an inline key or a fingerprint falls back to Debian's own key file."""
    return signed_by if signed_by.startswith("/") and Path(signed_by).exists() else _default_keyring()


def _default_keyring() -> str:
    return next((path for path in KEYRINGS if Path(path).exists()), "")
