"""The bus between processes: publish and subscribe on Redis, which nobody ever waits for.

What is published is heard in this process at once, and put into a bounded queue for the others. While Redis is away it
is dropped and counted: news is worthless when it is old, and who hears again is told that there was a gap. Redis is
away until a message of our own has come back through it, and again when nothing has come for `SILENT_S`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff, NoBackoff
from redis.exceptions import RedisError

from dcx_ari.bus import Message, Payload
from dcx_ari.bus.listeners import MOST_WAITING, Listeners
from dcx_ari.bus.seal import LARGEST, Seal, Strange

log = logging.getLogger(__name__)

BEAT_S = 1.0
SILENT_S = 3.0
MOST_OUT = 1_000
MOST_OUT_BYTES = 16 * LARGEST
_ANSWER_S = 2.0
_BATCH = 100
_AGAIN_S = (0.1, 2.0)
_WARN_S = 60.0
_CANCEL_S = 0.1


class RedisBus:
    """Implements `Bus` as long as `run` runs. `secret`: of all workers of an installation; nothing else is listened to.

    `prefix`: how channels begin; empty: a name that goes with the secret. Counts what was `dropped` because Redis was
    away or slow, and what was `strange`: not written by one of ours.
    """

    def __init__(self, url: str, secret: bytes, prefix: str = "", *, most_waiting: int = MOST_WAITING) -> None:
        self.away: str | None = "not connected yet"
        self.dropped = 0
        self.strange = 0
        self._url = url
        self._seal = Seal(secret)
        self._me = secrets.token_hex(8)
        self._prefix = f"dcx:{prefix or self._seal.name}:"
        self._beat = f"beat.{self._me}"
        self._listeners = Listeners(most_waiting)
        self._out: deque[tuple[str, bytes]] = deque()
        self._out_bytes = 0
        self._stir = asyncio.Event()
        self._confirmed: set[str] = set()
        self._changed = asyncio.Event()
        self._failures = 0
        self._told = False
        self._warned_at = -_WARN_S

    def publish(self, topic: str, payload: Payload) -> None:
        """Raises TypeError for what is not JSON."""
        self._listeners.publish(topic, payload)
        if self.away is not None:
            self.dropped += 1
            return
        data = self._seal.close(topic, self._me, payload)
        if len(data) > LARGEST:
            log.error("a message of %d bytes on %s is not sent to the other workers", len(data), topic)
            self.dropped += 1
            return
        while len(self._out) >= MOST_OUT or self._out_bytes + len(data) > MOST_OUT_BYTES:
            self._next()
            self.dropped += 1
        self._put(topic, data)
        self._stir.set()

    @asynccontextmanager
    async def subscribe(self, topics: Collection[str]) -> AsyncIterator[AsyncIterator[Message]]:
        """Waits for Redis to confirm, a little while; without it only this process is heard until it is back."""
        try:
            with self._listeners.listening(topics) as listener:
                self._stir.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ANSWER_S):
                        await self._until_confirmed(set(topics))
                yield listener
        finally:
            self._stir.set()

    async def run(self) -> None:
        """Keep the connection, for ever."""
        again = EqualJitterBackoff(cap=_AGAIN_S[1], base=_AGAIN_S[0])
        while True:
            self._lost(await self._failure())
            self._failures += 1
            await asyncio.sleep(again.compute(min(self._failures, 20)))

    # -- one connection -------------------------------------------------------------------------------------

    async def _failure(self) -> BaseException:
        """Connect, and return what went wrong when it has."""
        client: Redis = Redis.from_url(
            self._url,
            protocol=2,
            socket_connect_timeout=_ANSWER_S,
            socket_timeout=_ANSWER_S,
            retry=Retry(NoBackoff(), 0),
        )
        pubsub, subscribed = client.pubsub(), asyncio.Event()
        try:
            return await _first_failure(self._hear(pubsub, subscribed), self._speak(client, pubsub, subscribed))
        finally:
            with suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            with suppress(RedisError, OSError):
                await client.aclose()
            await asyncio.sleep(0)  # connections are closed in the loop's next turn

    async def _hear(self, pubsub: PubSub, subscribed: asyncio.Event) -> None:
        await pubsub.subscribe(self._prefix + self._beat)
        subscribed.set()
        while True:
            message = await pubsub.get_message(timeout=SILENT_S)
            if message is None:
                raise TimeoutError(f"nothing heard for {SILENT_S:g} s")
            topic = _text(message["channel"]).removeprefix(self._prefix)
            if message["type"] == "message":
                self._heard(topic, message["data"])
            elif message["type"] == "subscribe":
                self._confirmed.add(topic)
                self._changed.set()
            else:
                self._confirmed.discard(topic)
            await asyncio.sleep(0)  # a flood must not keep the calls waiting

    def _heard(self, topic: str, data: Any) -> None:
        try:
            envelope = self._seal.open(topic, data)
        except Strange as error:
            self.strange += 1
            if (now := asyncio.get_running_loop().time()) - self._warned_at >= _WARN_S:
                self._warned_at = now
                log.warning("Redis: ignored a message on %r: %s (%d so far)", topic[:40], error, self.strange)
            return
        if topic == self._beat:
            self._up()
        elif envelope.sender != self._me:
            self._listeners.publish(topic, envelope.payload)

    async def _speak(self, client: Redis, pubsub: PubSub, subscribed: asyncio.Event) -> None:
        await subscribed.wait()
        loop, asked = asyncio.get_running_loop(), set[str]()
        beat_at = loop.time()
        while True:
            self._stir.clear()
            await self._follow(pubsub, asked)
            if loop.time() >= beat_at:
                self._put(self._beat, self._seal.close(self._beat, self._me, {}))
                beat_at = loop.time() + BEAT_S
            if not self._out:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_at):
                        await self._stir.wait()
                continue
            pipe = client.pipeline(transaction=False)
            for topic, data in (self._next() for _ in range(min(_BATCH, len(self._out)))):
                pipe.publish(self._prefix + topic, data)
            await pipe.execute()

    async def _follow(self, pubsub: PubSub, asked: set[str]) -> None:
        """Hear the topics that somebody listens to, and no others."""
        wanted = set(self._listeners.topics)
        if new := wanted - asked:
            await pubsub.subscribe(*(self._prefix + topic for topic in new))
        if old := asked - wanted:
            await pubsub.unsubscribe(*(self._prefix + topic for topic in old))
        asked |= new
        asked -= old

    async def _until_confirmed(self, topics: set[str]) -> None:
        while self.away is None and not topics <= self._confirmed:
            self._changed.clear()
            await self._changed.wait()

    # -- up and away ----------------------------------------------------------------------------------------

    def _up(self) -> None:
        self._failures = 0
        if self.away is None:
            return
        self.away = None
        if self._told:
            self._told = False
            log.warning("Redis is back; %d messages were dropped so far", self.dropped)

    def _lost(self, error: BaseException) -> None:
        """Said once, however long it takes."""
        self.away = " ".join(str(error).split())[:200] or type(error).__name__
        self.dropped += sum(topic != self._beat for topic, _ in self._out)
        self._out.clear()
        self._out_bytes = 0
        self._confirmed.clear()
        self._changed.set()
        self._listeners.lost()
        if not self._told:
            self._told = True
            log.warning("Redis is away (%s): calls go on, other workers are not heard", self.away)

    def _put(self, topic: str, data: bytes) -> None:
        self._out.append((topic, data))
        self._out_bytes += len(data)

    def _next(self) -> tuple[str, bytes]:
        first = self._out.popleft()
        self._out_bytes -= len(first[1])
        return first


async def _first_failure(*work: Coroutine[Any, Any, None]) -> BaseException:
    """Run it side by side until something fails, and end the rest; whatever it is that fails there, calls go on.

    Cancelled once more until it has ended: on Python 3.11 `asyncio.wait_for`, which the client uses, can swallow it.
    """
    tasks = [asyncio.create_task(each, name="Redis") for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_S)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    return next((error for error in errors if error is not None), ConnectionError("ended"))


def _text(name: bytes | str) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
