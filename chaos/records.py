"""What was seen: of each call by its phones, of each blow, in the database and by the receiver of webhooks.

Times are seconds since the epoch; all processes are on one machine.
"""

from __future__ import annotations

import msgspec


class Heard(msgspec.Struct):
    """What one phone heard of the other in one call. `first_at` and `last_at` are the tone's; a gap is a time between
    them in which it was not heard. `lost` counts packets by their sequence numbers, of `packets` that came; `pause_s`
    is the longest time between two of them.
    """

    packets: int = 0
    lost: int = 0
    pause_s: float = 0.0
    first_at: float | None = None
    last_at: float | None = None
    gaps: list[tuple[float, float]] = []


class CallSeen(msgspec.Struct, tag="call"):
    """A call as its caller saw it. `end` is how it ended: see `ENDS`; `status` the last SIP status."""

    n: int
    invited_at: float
    replied_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    end: str = ""
    status: int = 0
    heard: Heard | None = None


class LegSeen(msgspec.Struct, tag="leg"):
    """One ringing of one buyer's phone."""

    n: int
    buyer: int
    invited_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    end: str = ""
    heard: Heard | None = None


ENDS = ("hung up", "told to end", "refused", "gave up", "no reply", "cancelled", "dropped", "open")
"""`hung up`: by this phone, as planned. `told to end`: by a BYE. `dropped`: its Asterisk had died. `open`: still there
when the phones were asked to finish."""

Seen = CallSeen | LegSeen


class Blow(msgspec.Struct):
    """One disturbance: of what `kind`, from when to when (until it was healed: running and answering again)."""

    kind: str
    target: str
    at: float
    until: float = 0.0
    note: str = ""

    @property
    def family(self) -> str:
        """`asterisk` of `asterisk-stop`."""
        return self.kind.partition("-")[0]


class Row(msgspec.Struct):
    """A call in the database."""

    id: str
    caller: str
    status: str
    ended: bool
    talk_ms: int
    revenue_cents: int
    failure: str
    worker: str
    recordings: list[str] = []  # their states


class Told(msgspec.Struct):
    """A webhook: what the outbox holds of it, or what was received."""

    id: str
    event: str
    call: str
    content: str  # a digest of the body
    state: str = ""


class Evidence(msgspec.Struct):
    """All that a run is judged by. `lost` are the instants at which an Asterisk ended with all its calls."""

    seed: int
    placed: int
    calls: list[CallSeen]
    legs: list[LegSeen]
    blows: list[Blow]
    rows: list[Row]
    outbox: list[Told]
    received: list[Told]
    lost: list[float] = []
    ledger: list[str] = []
    left_over: list[str] = []
    limits: dict[int, tuple[int, int]] = {}  # buyer: calls at a time, calls a day (0: no limit)
    complaints: list[str] = []
    late_ms: float = 0.0  # by how much the phones themselves were late to send, at most
