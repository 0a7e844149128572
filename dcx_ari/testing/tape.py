"""Tapes: what was asked of Asterisk and what it said, recorded from real calls and replayed without it.

A tape is a file of JSON lines: `request` with its answer or error, `event`, `session` and `lost` (the connection
began, ended), each with `at`, seconds since the recording began. It holds numbers of callers: keep it as such.

    transport = TapeRecorder(AriClient(…), Path("call.jsonl"))     # run a call, then close()
    player = TapePlayer(load(Path("call.jsonl")))                  # a Transport: run the same code on it
    await player.finished()

A replay is driven by what the code asks: an event is delivered once every request recorded before it has been made,
and no sooner after the one before it than it was. Ids that the code makes anew are recognised and exchanged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dcx_ari.ari import errors
from dcx_ari.ari.errors import AriError, Unreachable
from dcx_ari.ari.transport import Request, Session, Transport
from dcx_ari.testing.applications import FakeSession

PATIENCE_S = 120.0
NAMES = frozenset({"channelId", "otherChannelId", "playbackId", "bridgeId", "snoopId", "channel", "name"})


class TapeMismatch(AssertionError):
    """The code on trial did not ask what the tape has, or asked something else."""


@dataclass(slots=True)
class Entry:
    """One line. `answer` is the body of the reply, `error` the name of the `AriError` with `status`."""

    at: float
    kind: str
    method: str = ""
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    answer: str = ""
    error: str = ""
    status: int = 0
    event: str = ""
    used: bool = False

    def to_json(self) -> str:
        kept = {name: getattr(self, name) for name in self.__slots__ if name != "used"}
        return json.dumps({name: value for name, value in kept.items() if value not in ("", {}, None, 0)})


def load(path: Path) -> list[Entry]:
    """The entries of a tape file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Entry(**{"at": 0.0, **json.loads(line)}) for line in lines if line.strip()]


class TapeRecorder:
    """A `Transport` that writes down what passes through it."""

    def __init__(self, transport: Transport, path: Path) -> None:
        self._transport = transport
        self._file: TextIO = path.open("w", encoding="utf-8", buffering=1)
        self._began: float | None = None

    async def request(self, request: Request) -> bytes:
        entry = Entry(
            self._now(),
            "request",
            request.method,
            request.path,
            dict(request.query),
            dict(request.body) if request.body is not None else None,
        )
        try:
            answer = await self._transport.request(request)
        except AriError as error:
            entry.error, entry.status, entry.answer = type(error).__name__, error.status, str(error)
            raise
        else:
            entry.answer = answer.decode(errors="replace")
            return answer
        finally:
            self._write(entry)

    async def sessions(self) -> AsyncIterator[Session]:
        async for session in self._transport.sessions():
            self._write(Entry(self._now(), "session"))
            yield _Recorded(session, self)
            self._write(Entry(self._now(), "lost"))

    def heard(self, raw: bytes) -> None:
        """Write an event down."""
        self._write(Entry(self._now(), "event", event=raw.decode(errors="replace")))

    async def close(self) -> None:
        await self._transport.close()
        self._file.close()

    def _now(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return round(now - self._began, 6)

    def _write(self, entry: Entry) -> None:
        if not self._file.closed:
            self._file.write(entry.to_json() + "\n")


class _Recorded:
    def __init__(self, session: Session, recorder: TapeRecorder) -> None:
        self._session = session
        self._recorder = recorder

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for raw in self._session:
            self._recorder.heard(raw)
            yield raw


class TapePlayer:
    """A `Transport` that answers from a tape. `ids` maps recorded ids to those of this run."""

    def __init__(self, tape: list[Entry], *, patience_s: float = PATIENCE_S) -> None:
        self.ids: dict[str, str] = {}
        self._tape = tape
        self._patience_s = patience_s
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        self._sessions: asyncio.Queue[FakeSession | None] = asyncio.Queue()
        self._playing: asyncio.Task[None] | None = None

    async def request(self, request: Request) -> bytes:
        """Answer as recorded; `TapeMismatch` where the tape has no such request left."""
        entry = self._find(request)
        if entry is None:
            raise TapeMismatch(f"the tape has no (further) {request.method} {request.path}")
        self._learn(entry, request)
        entry.used = True
        self._asked.set()
        await asyncio.sleep(0)
        if entry.error:
            kind = getattr(errors, entry.error, Unreachable)
            raise kind(self._translated(entry.answer), status=entry.status)
        return self._translated(entry.answer).encode()

    async def sessions(self) -> AsyncIterator[Session]:
        if self._playing is None:
            self._playing = asyncio.create_task(self._play(), name="tape")
        while (session := await self._sessions.get()) is not None:
            yield session

    async def finished(self) -> None:
        """Wait until the tape has run out; raises `TapeMismatch` where the code did not ask for what it has."""
        if self._playing is not None:
            await asyncio.shield(self._playing)

    async def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        self._sessions.put_nowait(None)

    async def _play(self) -> None:
        last, session = 0.0, FakeSession()
        for entry in self._tape:
            if entry.kind == "request":
                await self._made(entry)
            else:
                await asyncio.sleep(max(0.0, entry.at - last))
                if entry.kind == "session":
                    session = FakeSession()
                    self._sessions.put_nowait(session)
                elif entry.kind == "lost":
                    session.end()
                else:
                    session.deliver(self._translated(entry.event).encode())
            last = entry.at

    async def _made(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                while not entry.used:
                    self._asked.clear()
                    await self._asked.wait()
        except TimeoutError:
            raise TapeMismatch(
                f"the tape has {entry.method} {entry.path} at {entry.at:.3f} s, but it was not asked"
            ) from None

    def _find(self, request: Request) -> Entry | None:
        asked = [e for e in self._tape if e.kind == "request" and not e.used and e.method == request.method]
        same = [e for e in asked if self._translated(e.path) == request.path]
        return next(iter(same), None) or next((e for e in asked if self._alike(e, request)), None)

    def _alike(self, entry: Entry, request: Request) -> bool:
        """The same operation, on ids that are new in this run."""
        ours, theirs = entry.path.split("/"), request.path.split("/")
        if len(ours) != len(theirs) or ours[0] != theirs[0]:
            return False
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if self._translated(a) != b]
        return all(a not in self.ids and place > 0 for place, (a, _) in enumerate(pairs, 1)) and (
            ours[2::2] == theirs[2::2]
        )

    def _learn(self, entry: Entry, request: Request) -> None:
        pairs = list(zip(entry.path.split("/"), request.path.split("/"), strict=True))
        pairs += [(entry.query[n], str(request.query[n])) for n in NAMES & set(entry.query) & set(request.query)]
        for recorded, now in pairs:
            if recorded != now:
                self.ids.setdefault(recorded, now)

    def _translated(self, text: str) -> str:
        for recorded in sorted(self.ids, key=len, reverse=True):
            text = text.replace(recorded, self.ids[recorded])
        return text
