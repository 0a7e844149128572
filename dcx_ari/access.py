"""How an engine reaches its Asterisk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcx_ari.flows.known import Known


@dataclass(frozen=True, slots=True)
class AsteriskAccess:
    """How to reach one Asterisk. `monitor` is where MixMonitor may write; `speech` gives argv of flite; `audible` says
    what its callers can be made to hear, as far as that is known here.
    """

    ari_url: str
    ari_user: str
    ari_password: str = field(repr=False)
    ami_host: str
    ami_port: int
    ami_user: str
    ami_secret: str = field(repr=False)
    monitor: Path
    speech: Callable[..., Sequence[str]]
    audible: Callable[[], Known] = Known
