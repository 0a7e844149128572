"""One Asterisk: where it keeps its things, which ports it takes, what its dialplan falls back to."""

import os
import tempfile
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

from dcx_asterisk.errors import AsteriskError

_SOCKET_PATH_LIMIT = 107  # sun_path of a Unix socket, less its final zero


@dataclass(frozen=True)
class Instance:
    """What is ours to choose about an Asterisk. Everything it writes lies below `home` (and, where that path
    is too long for a Unix socket, its run directory below the machine's temporary directory).

    Ports are TCP on `ari_bind` for ARI and AMI, UDP and TCP on `sip_bind` for SIP; `rtp_ports` are the first
    and the last UDP port of the media range. `external_address`, if set, is what SIP and SDP say our address
    is (behind a translating router). `engines` is how many engine processes the dialplan rotates over: ARI
    applications `<app>-0` to `<app>-<engines - 1>`. A call that finds no engine rings for `retry_s` seconds,
    then goes to `fallback_number` through the endpoint `fallback_trunk`, or hears an apology where either is
    empty.
    """

    home: Path
    ari_port: int = 8088
    sip_port: int = 5060
    ami_port: int = 5038
    rtp_ports: tuple[int, int] = (10000, 10999)
    ari_bind: str = "127.0.0.1"
    sip_bind: str = "127.0.0.1"
    external_address: str = ""
    app: str = "dcx"
    engines: int = 1
    retry_s: float = 20
    fallback_number: str = ""
    fallback_trunk: str = ""

    def __post_init__(self) -> None:
        first, last = self.rtp_ports
        if not 1024 <= first < last <= 65535:
            raise AsteriskError(
                f"DCX_RTP_PORTS {first}-{last} is no port range",
                "Give the first and the last UDP port, like 10000-10999; a call takes four of them.",
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and any(letter in value for letter in "\r\n;[]"):
                raise AsteriskError(
                    f"{field.name} {value!r} would break Asterisk's configuration",
                    "Use plain text without ; [ ].",
                )

    @property
    def etc(self) -> Path:
        """Asterisk's configuration, rendered by us at each start."""
        return self.home / "etc"

    @property
    def configuration(self) -> Path:
        """The file that `asterisk -C` takes."""
        return self.etc / "asterisk.conf"

    @property
    def spool(self) -> Path:
        """Recordings lie here: `recording/` (ARI), `monitor/` (MixMonitor)."""
        return self.home / "spool"

    @property
    def log(self) -> Path:
        """`messages` (Asterisk's own log) and `console` (what the process printed)."""
        return self.home / "log"

    @property
    def music(self) -> Path:
        """Hold music: every file in here, in turn."""
        return self.home / "music"

    @property
    def run(self) -> Path:
        """Control socket and process id."""
        near = self.home / "run"
        if len(os.fsencode(near / "asterisk.ctl")) <= _SOCKET_PATH_LIMIT:
            return near
        name = sha256(os.fsencode(self.home.absolute())).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"dcx-{os.getuid()}-{name}"

    @property
    def pid_file(self) -> Path:
        return self.run / "asterisk.pid"

    @property
    def ari_url(self) -> str:
        """Base address of ARI, without the final slash."""
        host = "127.0.0.1" if self.ari_bind in ("0.0.0.0", "") else self.ari_bind  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.ari_port}/ari"
