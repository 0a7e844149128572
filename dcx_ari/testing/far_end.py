"""How a dialled phone behaves: scripts for far ends.

Times are seconds from the moment of the dial, or of the answer where that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dcx_ari.testing.parties import Party


class Line(Protocol):
    """What a script can do: a `Party` of the fake, or a real phone that plays the script."""

    def at(self, seconds: float, act: Callable[..., object], *args: Any) -> None: ...
    def ring(self) -> None: ...
    def progress(self) -> None: ...
    def answer(self) -> None: ...
    def refuse(self, cause: int, status: int) -> None: ...
    def digit(self, digit: str) -> None: ...
    def hang_up(self) -> None: ...


class FarEnd(Protocol):
    """A script. `dialable` False: the endpoint is not registered, the channel cannot even be created."""

    @property
    def dialable(self) -> bool: ...

    def begin(self, line: Line) -> None:
        """The phone is dialled: arrange what happens, with `line.at(seconds, line.answer)` and so on."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Rings at once (`rings_after=None`: never), answers `after` seconds.

    Counted from the answer: `presses` are (seconds, digits), `hangs_up_after` ends the call.
    `early_media_after`: sends early media (183) from then on.
    """

    after: float = 2.0
    hangs_up_after: float | None = None
    presses: Sequence[tuple[float, str]] = ()
    rings_after: float | None = 0.0
    early_media_after: float | None = None
    dialable: bool = field(default=True, init=False)

    def begin(self, line: Line) -> None:
        if self.early_media_after is not None:
            line.at(self.early_media_after, line.progress)
        elif self.rings_after is not None:
            line.at(self.rings_after, line.ring)
        line.at(self.after, line.answer)
        for seconds, digits in self.presses:
            for number, digit in enumerate(digits):
                line.at(self.after + seconds + 0.2 * number, line.digit, digit)
        if self.hangs_up_after is not None:
            line.at(self.after + self.hangs_up_after, line.hang_up)


@dataclass(frozen=True, slots=True)
class Refuses:
    """Refuses with a Q.850 cause and a SIP status, after ringing if `rings`."""

    cause: int
    status: int
    after: float = 0.1
    rings: bool = False
    dialable: bool = field(default=True, init=False)

    def begin(self, line: Line) -> None:
        if self.rings:
            line.at(0.0, line.ring)
        line.at(self.after, line.refuse, self.cause, self.status)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Rings until the dialler gives up; `silent`: no answer at all to the INVITE."""

    silent: bool = False
    dialable: bool = field(default=True, init=False)

    def begin(self, line: Line) -> None:
        if not self.silent:
            line.at(0.0, line.ring)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Not registered, or no such endpoint: the request is refused with 500 "Allocation failed"."""

    dialable: bool = field(default=False, init=False)

    def begin(self, line: Line) -> None: ...


def Busy(after: float = 0.1) -> Refuses:
    return Refuses(17, 486, after)


def Rejects(after: float = 2.0) -> Refuses:
    """Presses the red button: 603 after some ringing."""
    return Refuses(21, 603, after, rings=True)


def Congestion(after: float = 0.1) -> Refuses:
    return Refuses(34, 503, after)


def NoSuchNumber(after: float = 0.1) -> Refuses:
    return Refuses(1, 404, after)


def AnswersThenHangsUp(seconds: float, after: float = 2.0) -> Answers:
    return Answers(after, hangs_up_after=seconds)


class Phone:
    """An endpoint and its scripts: each call to it takes the next one, and the last one stays.

    `calls` are the parties of the calls to it so far; `call` is the latest.
    """

    def __init__(self, endpoint: str, scripts: Sequence[FarEnd]) -> None:
        self.endpoint = endpoint
        self.calls: list[Party] = []
        self._scripts = list(scripts)

    @property
    def call(self) -> Party:
        return self.calls[-1]

    def then(self, *scripts: FarEnd) -> None:
        """Replace what the next calls will meet."""
        self._scripts = list(scripts)

    @property
    def next_script(self) -> FarEnd:
        return self._scripts[0]

    def take_script(self) -> FarEnd:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
