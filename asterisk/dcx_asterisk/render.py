"""Render the configuration of one Asterisk: real Asterisk files with ${placeholders}, next to this module in
config/."""

import json
import os
import resource
import secrets
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from dcx_ari.media.tones import chord, write_wav
from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.instance import Instance

_MAX_FILES = 65536
_VERBATIM = ("extensions.conf",)  # full of Asterisk's own ${…}
_MADE_BY_HAND = (
    "recording",
    "monitor",
    "tmp",
    "outgoing",
)  # Asterisk fails to record where these are missing
_CHORDS = (
    (220.0, 277.18, 329.63),
    (246.94, 293.66, 369.99),
    (196.0, 246.94, 293.66),
    (220.0, 261.63, 329.63),
)


@dataclass(frozen=True)
class Secrets:
    """Names and random passwords of our own ARI and AMI users; made once per home."""

    ari_user: str
    ari_password: str
    ami_user: str
    ami_secret: str


def secrets_of(instance: Instance) -> Secrets:
    """The secrets of an instance, created (readable by the owner only) where there are none."""
    path = instance.home / "secrets.json"
    try:
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        made = Secrets("dcx", secrets.token_urlsafe(24), "dcx", secrets.token_urlsafe(24))
        _write(path, json.dumps(made.__dict__))
        return made
    except (ValueError, TypeError) as error:
        raise AsteriskError(f"{path} is damaged", "Delete it; a new one is made at the next start.") from error


def render(instance: Instance, root: Path, given: Secrets | None = None) -> Secrets:
    """Write every file and directory Asterisk needs below `instance.home`; `root` is the tree its program
    lies in ("/" where it is installed). Idempotent. Raises AsteriskError where the home cannot be written."""
    try:
        for folder in (
            instance.home,
            instance.etc,
            instance.run,
            instance.log,
            instance.music,
            instance.home / "cache",
            instance.home / "lib" / "keys",
            *(instance.spool / name for name in _MADE_BY_HAND),
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = given or secrets_of(instance)
        values = _values(instance, root, known)
        for source in files("dcx_asterisk").joinpath("config").iterdir():
            if source.name.endswith(".conf"):
                text = source.read_text(encoding="utf-8")
                _write(
                    instance.etc / source.name,
                    text if source.name in _VERBATIM else Template(text).substitute(values),
                )
        if not any(instance.music.iterdir()):
            _write_music(instance.music / "chords.wav")
    except OSError as error:
        raise AsteriskError(
            f"cannot write Asterisk's files below {instance.home}: {error.strerror or error}",
            "Give DCX_HOME a directory of yours with some room.",
        ) from error
    return known


def _values(instance: Instance, root: Path, known: Secrets) -> dict[str, object]:
    return {
        **known.__dict__,
        "etc": instance.etc,
        "modules": _modules(root),
        "data": root / "usr/share/asterisk",
        "sbin": root / "usr/sbin",
        "lib": instance.home / "lib",
        "cache": instance.home / "cache",
        "spool": instance.spool,
        "run": instance.run,
        "log": instance.log,
        "music": instance.music,
        "max_files": min(_MAX_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        "ari_bind": instance.ari_bind,
        "ari_port": instance.ari_port,
        "ami_port": instance.ami_port,
        "sip_bind": instance.sip_bind,
        "sip_port": instance.sip_port,
        "external": _external(instance.external_address),
        "rtp_first": instance.rtp_ports[0],
        "rtp_last": instance.rtp_ports[1],
        "app": instance.app,
        "engines": instance.engines,
        "retries": max(0, round(instance.retry_s * 4)),
        "fallback_number": instance.fallback_number,
        "fallback_trunk": instance.fallback_trunk,
    }


def _modules(root: Path) -> Path:
    found = sorted(root.glob("usr/lib/*/asterisk/modules")) or sorted(root.glob("usr/lib/asterisk/modules"))
    if not found:
        raise AsteriskError(f"no Asterisk modules below {root}", "Delete that directory and run the command again.")
    return found[0]


def _external(address: str) -> str:
    """Transport lines for a machine behind address translation; private networks (RFC 1918) are spoken to
    directly."""
    if not address:
        return ""
    local = [f"local_net = {net}" for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]
    return "\n".join([f"external_media_address = {address}", f"external_signaling_address = {address}", *local, ""])


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only (some hold passwords)."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _write_music(path: Path) -> None:
    """Sixteen seconds of soft chords, made here: no licence to keep, nothing to download."""
    music = chord((), 0)
    for tones in _CHORDS:
        music += chord(tones, 4.0, amplitude=1400, fade_s=0.8)
    temporary = path.with_name(f".{path.name}.new")
    write_wav(temporary, music)
    temporary.replace(path)
