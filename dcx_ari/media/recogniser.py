"""Recognisers in processes of their own: the engine's loop goes on, and one that hangs can be ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from dcx_ari.call.ports import Heard, ListeningFailed

_COMMAND = (sys.executable, "-m", "dcx_ari.media.recognise")
_PROCESSES = 2
_LIMIT_S = 5.0  # a busy machine; 20 to 60 ms is usual, and a second for the first
_START_S = 30.0
_DICTIONARY = "model/en-us/cmudict-en-us.dict"


def deaf() -> str:
    """Why no speech can be recognised; empty if it can."""
    if find_spec("pocketsphinx") is None:
        return "speech cannot be recognised: pocketsphinx is not installed (pip install 'dcx-ari[speech]')"
    return ""


class Vocabulary:
    """Whether words can be recognised; the dictionary is read when the first one is asked for."""

    def __init__(self) -> None:
        self._known: frozenset[str] | None = None

    def __call__(self, phrase: str) -> str:
        """Why a phrase cannot be recognised; empty if it can."""
        if reason := deaf():
            return reason
        if self._known is None:
            self._known = _dictionary()
        odd = [word for word in phrase.split() if word not in self._known]
        return f'"{odd[0]}" is no word of the English dictionary: give other words: for it' if odd else ""


def _dictionary() -> frozenset[str]:
    spec = find_spec("pocketsphinx")
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    text = Path(folders[0], _DICTIONARY).read_text("utf-8") if folders else ""
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines())


class Recognisers:
    """At most `processes` at a time, begun when they are wanted; who has to wait longer than `limit_s` is told so."""

    def __init__(
        self, command: Sequence[str] = _COMMAND, *, processes: int = _PROCESSES, limit_s: float = _LIMIT_S
    ) -> None:
        self._command = tuple(command)
        self._room = asyncio.Semaphore(processes)
        self._idle: list[_Process] = []
        self._limit_s = limit_s
        self._closed = False

    async def prepare(self, choices: Mapping[str, Sequence[str]]) -> None:
        """Have a process ready, and its grammar. Raises ListeningFailed."""
        await self._ask(choices, b"", _START_S)

    async def recognise(self, choices: Mapping[str, Sequence[str]], sound: bytes) -> Heard:
        """Which of the choices was said. Raises ListeningFailed."""
        return await self._ask(choices, sound, self._limit_s)

    async def _ask(self, choices: Mapping[str, Sequence[str]], sound: bytes, limit_s: float) -> Heard:
        if self._command == _COMMAND and (reason := deaf()):
            raise ListeningFailed(reason)
        try:
            async with asyncio.timeout(limit_s), self._room:
                if self._closed:
                    raise ListeningFailed("the engine stops")
                process = self._idle.pop() if self._idle else await _Process.start(self._command)
                try:
                    answer = await process.ask(choices, sound)
                except BaseException:  # also a cancelled one: its answer would be the next one's
                    await process.end()
                    raise
                self._idle.append(process)
        except TimeoutError:
            raise ListeningFailed(f"the recogniser took longer than {limit_s:g} s") from None
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ListeningFailed(f"the recogniser failed: {error}") from None
        if "error" in answer:
            raise ListeningFailed(str(answer["error"]))
        choice = answer["choice"]
        return Heard(choice if choice in choices else None, str(answer.get("words", "")))

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            await self._idle.pop().end()


class _Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str]) -> _Process:
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        )

    async def ask(self, choices: Mapping[str, Sequence[str]], sound: bytes) -> dict[str, str | None]:
        asked, told = self._process.stdin, self._process.stdout
        if asked is None or told is None:
            raise OSError("it has no pipes")
        asked.write(json.dumps({"choices": choices, "bytes": len(sound)}).encode() + b"\n" + sound)
        await asked.drain()
        answer = json.loads(await told.readuntil(b"\n"))
        if not isinstance(answer, dict):
            raise ValueError("its answer is no object")
        return answer

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(OSError):  # reads what is left, so that its pipes are closed
            await self._process.communicate()
