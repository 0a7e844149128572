"""`python -m dcx_asterisk fetch engine phones`: have the programs at hand, with progress.

`python -m dcx_asterisk serve`: render the configuration from the environment and become the Asterisk that is
installed on this machine. This is what the container does; it needs nothing but Python's own library.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.fetch import Progress, ensure
from dcx_asterisk.instance import Instance
from dcx_asterisk.render import Secrets, render
from dcx_asterisk.sets import SETS

_USAGE = f"usage: python -m dcx_asterisk fetch {{{','.join(SETS)}}}… | serve"


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit status: 0, 1 where something is in the way, 2 for a wrong command line."""
    try:
        match list(argv):
            case ["fetch", *names] if names and set(names) <= set(SETS):
                for name in names:
                    print(f"{name}: {ensure(name, _Printer().report).root}")
                return 0
            case ["serve"]:
                _serve(environ)
    except AsteriskError as error:
        print(error, file=sys.stderr)
        return 1
    print(_USAGE, file=sys.stderr)
    return 2


def instance_from(environ: Mapping[str, str]) -> Instance:
    """An instance from DCX_ variables, with the same names and defaults as the engine's own settings."""
    first, _, last = environ.get("DCX_RTP_PORTS", "10000-10999").partition("-")
    try:
        return Instance(
            home=Path(environ.get("DCX_HOME", "~/.local/share/dcx")).expanduser() / "asterisk",
            ari_port=int(environ.get("DCX_ARI_PORT", "8088")),
            ami_port=int(environ.get("DCX_AMI_PORT", "5038")),
            sip_port=int(environ.get("DCX_SIP_PORT", "5060")),
            rtp_ports=(int(first), int(last)),
            ari_bind=environ.get("DCX_ARI_HOST", "127.0.0.1"),
            sip_bind=environ.get("DCX_SIP_HOST", "127.0.0.1"),
            external_address=environ.get("DCX_EXTERNAL_ADDRESS", ""),
            engines=int(environ.get("DCX_WORKERS", "1")),
            fallback_number=environ.get("DCX_FALLBACK_NUMBER", ""),
            fallback_trunk=environ.get("DCX_FALLBACK_TRUNK", ""),
        )
    except ValueError as error:
        raise AsteriskError(f"a DCX_ port or count is no number: {error}", "See asterisk/README.md.") from error


def _serve(environ: Mapping[str, str]) -> None:
    """Become Asterisk. Does not return."""
    password = environ.get("DCX_ARI_PASSWORD", "")
    if not password:
        raise AsteriskError("DCX_ARI_PASSWORD is not set", "Give Asterisk and the engine the same one.")
    user = environ.get("DCX_ARI_USER", "dcx")
    known = Secrets(user, password, environ.get("DCX_AMI_USER", user), environ.get("DCX_AMI_SECRET", password))
    instance = instance_from(environ)
    render(instance, Path("/"), known)
    os.execv("/usr/sbin/asterisk", ["asterisk", "-C", str(instance.configuration), "-f", "-n"])  # noqa: S606


class _Printer:
    """One line per step; on a terminal the line counts up."""

    def __init__(self) -> None:
        self._step = ""

    def report(self, progress: Progress) -> None:
        words = {
            "waiting": "waiting for another process that fetches",
            "index": "reading the package lists",
            "download": f"downloading {progress.total >> 20} MB",
            "unpack": f"unpacking {progress.total} packages",
            "ready": "ready",
        }[progress.step]
        percent = f" {100 * progress.done // progress.total:3d} %" if progress.total else ""
        if sys.stdout.isatty():
            end = "\n" if progress.step == "ready" else ""
            print(f"\r\x1b[K{progress.package_set}: {words}{percent}", end=end, flush=True)
        elif progress.step != self._step:
            print(f"{progress.package_set}: {words}", flush=True)
        self._step = progress.step


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
