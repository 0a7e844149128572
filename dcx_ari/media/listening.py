"""The `ears` of the engine: the audio of a WebSocket channel, cut into utterances, recognised elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from dcx_ari.call.ports import Listener, ListeningFailed
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.media.recogniser import Recognisers, deaf

RATE = 8000
_FRAME_S = 0.02
_WINDOW_S, _RATIO = 0.24, 0.75
_BYTES_A_SECOND = 2 * RATE
_LONGEST_S = 5.0  # longer is talk, or noise: no choice of a menu
_SHORTEST_S = 0.2

OpenMedia = Callable[[str], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""The audio behind a connection id, in pieces: 16 bit, 8 kHz, mono."""


class Utterances:
    """Cuts a stream of sound into what is said; `take` tells `listener` when somebody begins to speak.

    By pocketsphinx's endpointer, whose voice activity detection is WebRTC's: an utterance begins and ends when three
    quarters of a quarter second are speech, and are not. The strictest kind: others take a noisy line for one long
    word.
    """

    def __init__(self, listener: Listener) -> None:
        from pocketsphinx import Endpointer, Vad  # an extra of the package: missing is told before

        self._endpointer = Endpointer(
            sample_rate=RATE, frame_length=_FRAME_S, window=_WINDOW_S, ratio=_RATIO, vad_mode=Vad.STRICT
        )
        self._listener = listener
        self._left = bytearray()
        self._said = bytearray()
        self._speaking = self._dropped = False

    def take(self, piece: bytes) -> Iterator[bytes]:
        """The utterances that end with this piece. Too long or too short ones are told as None and left out."""
        self._left += piece
        size = self._endpointer.frame_bytes
        while len(self._left) >= size:
            frame = bytes(self._left[:size])
            del self._left[:size]
            speech = self._endpointer.process(frame)
            if speech is not None:
                yield from self._on_speech(speech)

    def _on_speech(self, speech: bytes) -> Iterator[bytes]:
        if not self._speaking:
            self._speaking, self._dropped = True, False
            self._said.clear()
            self._listener.speaks()
        if not self._dropped:
            self._said += speech
        if not self._dropped and len(self._said) > _LONGEST_S * _BYTES_A_SECOND:
            self._drop()
        if not self._endpointer.in_speech:
            self._speaking = False
            if not self._dropped and len(self._said) < _SHORTEST_S * _BYTES_A_SECOND:
                self._drop()
            if not self._dropped:
                yield bytes(self._said)

    def _drop(self) -> None:
        self._dropped = True
        self._said.clear()
        self._listener.heard(None)


class MediaEars:
    """Implements the `Ears` port; `async with` ends its recognisers. The socket is read whatever those do."""

    def __init__(self, media: OpenMedia, recognisers: Recognisers | None = None) -> None:
        self._media = media
        self._recognisers = recognisers or Recognisers()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._recognisers.close()

    async def listen(self, connection: str, choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        if reason := deaf():
            raise ListeningFailed(reason)
        said: asyncio.Queue[bytes] = asyncio.Queue(maxsize=2)
        reading = asyncio.create_task(self._read(connection, said, listener), name=f"read media {connection}")
        hearing = asyncio.create_task(self._hear(said, choices, listener), name=f"recognise {connection}")
        try:
            done, _ = await asyncio.wait([reading, hearing], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await cancel_and_wait(reading, hearing)

    async def _read(self, connection: str, said: asyncio.Queue[bytes], listener: Listener) -> None:
        utterances = Utterances(listener)
        async with self._media(connection) as pieces:
            async for piece in pieces:
                for utterance in utterances.take(piece):
                    if said.full():  # the recogniser is behind: what was said then is no answer any more
                        listener.heard(None)
                    else:
                        said.put_nowait(utterance)

    async def _hear(self, said: asyncio.Queue[bytes], choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        await self._recognisers.prepare(choices)
        while True:
            listener.heard(await self._recognisers.recognise(choices, await said.get()))
