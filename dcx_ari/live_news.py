"""What workers tell each other of their calls while somebody looks, and the one who tells.

Whoever shows a live view publishes a `Look` every second, with the workers that he knows. Each of them answers: a sign
of life, all of its calls if it is not known or asked to, and from then on changes, numbered. Nothing is kept anywhere
else: who dies is not heard any more, who comes late is told everything, and when nobody looks nothing is sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dcx_ari.bus import Bus, Message
from dcx_ari.live import OWN, LiveCalls

LOOKS = "looks"
NEWS = "live-news"
LOOK_S = 1.0
LOOKED_S = 3.0
"""So long after the last look changes are told."""
AT_ONCE = 500
"""Calls in one message."""

Text = Annotated[str, Meta(max_length=1_000)]
Id = Annotated[str, Meta(min_length=1, max_length=100)]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


class Buyer(msgspec.Struct, frozen=True):
    id: int
    name: Text


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """As `dcx_ari.live.view_of` makes it; what comes from another process is held against this."""

    id: Id
    status: Literal["ringing", "in-progress", "on-hold"]
    stage: Text
    caller: Text
    number: Text
    campaign_id: int | None
    campaign: Text | None
    source_id: int | None
    source: Text | None
    buyers: list[Buyer]
    started_at: Moment
    answered_at: Moment | None
    connected_at: Moment | None
    test: bool


class Look(msgspec.Struct, frozen=True):
    """`known` and `whole` are lives: the latter are asked for all of their calls."""

    life: Id
    known: list[Id]
    whole: list[Id]


class News(msgspec.Struct, frozen=True):
    """`life`: of the process, `began` at (epoch ms). `n` counts messages with changes; a sign of life repeats the last.

    `whole`: the ids of all calls, where they are told anew; those that are new follow in this message and the next.
    """

    worker: Id
    life: Id
    began: int
    n: int
    changed: list[LiveCall]
    removed: list[Id]
    whole: list[Id] | None = None


class Teller:
    """Tells the other workers of our calls as long as `run` runs and somebody looks."""

    def __init__(self, own: LiveCalls, wire: Bus, worker: str) -> None:
        self.life = secrets.token_hex(8)
        self._own = own
        self._wire = wire
        self._worker = worker
        self._began = own.now_ms()
        self._n = 0
        self._until = 0.0
        self._looked = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(), name="looks at our calls")
            group.create_task(self._tell(), name="news of our calls")

    async def _hear(self) -> None:
        async with self._wire.subscribe([LOOKS]) as looks:
            async for message in looks:
                with suppress(msgspec.ValidationError):
                    self._look(msgspec.convert(message.payload, Look))

    def _look(self, look: Look) -> None:
        if look.life == self.life:
            return
        self._until = asyncio.get_running_loop().time() + LOOKED_S
        self._looked.set()
        # Through the same queue as the changes: what is told later must not be older.
        self._own.bus.publish(OWN, {"whole": self.life not in look.known or self.life in look.whole})

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._looked.wait()
            async with self._own.bus.subscribe([OWN]) as changes:
                self._tell_all()
                while (left := self._until - loop.time()) > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            self._pass_on(await anext(changes))
                self._looked.clear()

    def _pass_on(self, message: Message) -> None:
        asked: bool | None = message.payload.get("whole")
        if message.gap or asked:
            self._tell_all()
        elif asked is None:
            self._say(message.payload["changed"], message.payload["removed"])
        else:
            self._publish([], [], None)

    def _tell_all(self) -> None:
        calls = self._own.calls()
        self._say(calls, [], [call["id"] for call in calls])

    def _say(self, changed: Sequence[Any], removed: Sequence[str], whole: Sequence[str] | None = None) -> None:
        for first in range(0, len(changed), AT_ONCE) or (0,):
            self._n += 1
            self._publish(changed[first : first + AT_ONCE], removed, whole)
            removed, whole = (), None

    def _publish(self, changed: Sequence[Any], removed: Sequence[str], whole: Sequence[str] | None) -> None:
        who = {"worker": self._worker, "life": self.life, "began": self._began, "n": self._n}
        self._wire.publish(NEWS, {**who, "changed": list(changed), "removed": list(removed), "whole": whole})
