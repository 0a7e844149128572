"""Questions to the other workers, answered within a bounded time or not at all."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from dcx_ari.bus import Bus, Payload
from dcx_ari.call.tasks import Spawner

log = logging.getLogger(__name__)

Handler = Callable[[Payload], Awaitable[Payload | None]]
"""Answers a question of another worker; None: it is not for us."""
Answers = Mapping[str, Payload]
"""By worker."""

_QUESTIONS = "questions"
_MOST_AT_ONCE = 32
_ANSWER_S = 5.0
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]


class Question(msgspec.Struct, frozen=True):
    """`asker` hears the answers."""

    id: Id
    asker: Id
    kind: str
    about: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    id: Id
    worker: Annotated[str, msgspec.Meta(max_length=100)]
    told: dict[str, Any]


@dataclass(slots=True)
class _Open:
    """A question of ours that waits for answers."""

    enough: Callable[[Answers], bool]
    answers: dict[str, Payload] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Asking:
    """One for each worker; `name` is its slot. Hears and answers as long as `run` runs."""

    def __init__(self, bus: Bus, name: str) -> None:
        self.bus = bus
        self._name = name
        self._me = secrets.token_hex(8)
        self._handlers: dict[str, Handler] = {}
        self._open: dict[str, _Open] = {}
        self._answering = Spawner()

    def answer(self, kind: str, handler: Handler) -> None:
        """Have questions of this kind answered. An answer that takes longer than `_ANSWER_S` is given up."""
        self._handlers[kind] = handler

    async def ask(
        self, kind: str, about: Payload, *, within_s: float, enough: Callable[[Answers], bool] = lambda _: False
    ) -> Answers:
        """What the others answer, until it is enough or the time is up. None of them where the bus is away."""
        if self.bus.away is not None:
            return {}
        question = Question(secrets.token_hex(8), self._me, kind, dict(about))
        waiting = self._open[question.id] = _Open(enough)
        try:
            self.bus.publish(_QUESTIONS, msgspec.to_builtins(question))
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await waiting.done.wait()
        finally:
            del self._open[question.id]
        return waiting.answers

    async def run(self) -> None:
        """For ever. What has not the form of a question or answer is not for us: that of another release, perhaps."""
        own = _answers_to(self._me)
        try:
            async with self.bus.subscribe([_QUESTIONS, own]) as messages:
                async for message in messages:
                    with suppress(msgspec.ValidationError):
                        if message.topic == own:
                            self._take(msgspec.convert(message.payload, Answer))
                        else:
                            self._asked(msgspec.convert(message.payload, Question))
        finally:
            await self._answering.finish(0.0)

    def _take(self, answer: Answer) -> None:
        waiting = self._open.get(answer.id)
        if waiting is not None:
            waiting.answers[answer.worker] = answer.told
            if waiting.enough(waiting.answers):
                waiting.done.set()

    def _asked(self, question: Question) -> None:
        handler = self._handlers.get(question.kind)
        if handler is None or question.asker == self._me or len(self._answering) >= _MOST_AT_ONCE:
            return
        self._answering.spawn(self._reply(handler, question), f"answer to {question.kind}")

    async def _reply(self, handler: Handler, question: Question) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                told = await handler(question.about)
                if told is not None:
                    answer = Answer(question.id, self._name, dict(told))
                    self.bus.publish(_answers_to(question.asker), msgspec.to_builtins(answer))


def _answers_to(asker: str) -> str:
    return f"answers.{asker}"
