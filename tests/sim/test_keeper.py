"""When an Asterisk is started again, and when it is left alone; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from dcx_asterisk import keeper
from dcx_asterisk.errors import StartFailed
from dcx_asterisk.keeper import LATE_S, PROBE_EVERY_S, PROBE_S, PROBES, Keeper, backoff_s
from dcx_asterisk.process import Asterisk

pytestmark = pytest.mark.sim


@dataclass
class Fake:
    """An Asterisk that answers probes as `answers` says: seconds until an answer, None for never; then at once."""

    pid: int
    answers: list[float | None] = field(default_factory=list)
    lives_s: float | None = None
    alive: bool = True
    ended_at: float | None = None

    async def kill(self) -> None:
        if self.alive:
            self.alive, self.ended_at = False, asyncio.get_running_loop().time()


@dataclass
class Started:
    at: float
    asterisk: Fake


@asynccontextmanager
async def kept(monkeypatch: pytest.MonkeyPatch, *lives: Fake | StartFailed) -> AsyncIterator[list[Started]]:
    """A keeper of the first life, which starts the others one after the other; when each began."""
    loop = asyncio.get_running_loop()
    waiting, began = list(lives), list[Started]()

    async def start() -> Asterisk:
        one = waiting.pop(0) if waiting else Fake(99)
        if isinstance(one, StartFailed):
            raise one
        began.append(Started(loop.time(), one))
        if one.lives_s is not None:
            loop.call_later(one.lives_s, setattr, one, "alive", False)
        return cast("Asterisk", one)

    async def silent(_session: object, asterisk: Any, _channel: str) -> str | None:
        answer = asterisk.answers.pop(0) if asterisk.answers else 0.0
        await asyncio.sleep(PROBE_S if answer is None else answer)
        return "has not answered" if answer is None or answer > PROBE_S else None

    @asynccontextmanager
    async def session(_asterisk: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(keeper, "_silent", silent)
    monkeypatch.setattr(keeper, "_session", session)
    keeping = asyncio.create_task(Keeper(await start(), start).run())
    try:
        yield began
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_one_that_never_answers_is_replaced_within_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    wedged = Fake(1, [0.0, *[None] * 9])
    async with kept(monkeypatch, wedged) as began:
        await asyncio.sleep(60)
        assert [each.asterisk.pid for each in began] == [1, 99]
        assert wedged.ended_at == began[1].at == pytest.approx(PROBE_EVERY_S + PROBES * PROBE_S)
        assert wedged.ended_at < 30


@pytest.mark.parametrize(
    "answers",
    [
        [None] * (PROBES - 1) + [6.9] + [None] * (PROBES - 1) + [0.0],
        [6.9] * 20,
        [PROBE_S + LATE_S + 5] * 9,  # it was us who stood still
    ],
)
async def test_one_that_answers_late_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, answers: list[float | None]
) -> None:
    async with kept(monkeypatch, Fake(1, answers)) as began:
        await asyncio.sleep(300)
        assert [each.asterisk.pid for each in began] == [1]


async def test_one_that_dies_again_and_again_is_started_at_longer_and_longer_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short: Callable[[int], Fake] = lambda pid: Fake(pid, lives_s=1.0)  # noqa: E731
    failed = StartFailed("a port is taken")
    async with kept(monkeypatch, short(1), short(2), short(3), failed, short(4), Fake(5, lives_s=100)) as began:
        await asyncio.sleep(300)
        assert [each.asterisk.pid for each in began] == [1, 2, 3, 4, 5, 99]
        pauses = [later.at - sooner.at for sooner, later in pairwise(began)]
        assert pauses == pytest.approx([1, 2, 1 + 2 + 4, 1 + 8, 100], abs=0.3)
    assert [backoff_s(failures) for failures in (1, 2, 3, 20)] == [0.0, 1.0, 2.0, 30.0]
