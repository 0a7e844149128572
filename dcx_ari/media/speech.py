"""Text to speech with flite, cached by text and voice.

A prompt is made once, resampled to what Asterisk plays without transcoding (8 kHz, 16 bit, mono) and kept
under a name that is the hash of what it says: no part of a text ever becomes part of a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dcx_ari.call.ports import SpeechUnavailable
from dcx_ari.media.audio import to_telephone_wav

_MAKE_S = 20.0
_MAX_TEXT = 2000
VOICES = frozenset({"slt", "kal", "awb", "rms"})
DEFAULT_VOICE = "slt"


class FliteSpeech:
    """Speaks through the flite program. `command(*args)` gives its argv; `cache` is ours to write in."""

    def __init__(self, command: Callable[..., Sequence[str]], cache: Path) -> None:
        self._command = command
        self._cache = cache
        self._making: dict[Path, asyncio.Lock] = {}
        self._made: set[Path] = set()

    async def say(self, text: str, voice: str = "") -> str:
        """The media URI of `text` spoken. Raises `SpeechUnavailable`."""
        voice = voice or DEFAULT_VOICE
        if voice not in VOICES:
            raise SpeechUnavailable(f"voice: {voice!r} is none of {', '.join(sorted(VOICES))}")
        text = " ".join(text.split())
        if not text or len(text) > _MAX_TEXT:
            raise SpeechUnavailable(f"text: must have 1 to {_MAX_TEXT} characters, has {len(text)}")
        digest = hashlib.sha256(f"{voice}\n{text}".encode()).hexdigest()[:32]
        path = self._cache / f"{digest}.wav"
        if path not in self._made:
            await self._make_once(path, text, voice)
        return f"sound:{path.with_suffix('')}"

    async def _make_once(self, path: Path, text: str, voice: str) -> None:
        lock = self._making.setdefault(path, asyncio.Lock())
        try:
            async with lock:
                if not await asyncio.to_thread(path.exists):
                    await self._make(path, text, voice)
                self._made.add(path)
        finally:
            self._making.pop(path, None)

    async def _make(self, path: Path, text: str, voice: str) -> None:
        await asyncio.to_thread(self._cache.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache) as scratch:
            source, spoken = Path(scratch, "text"), Path(scratch, "spoken.wav")
            await asyncio.to_thread(source.write_text, text + "\n", encoding="utf-8")
            await self._run("-voice", voice, "-f", str(source), "-o", str(spoken))
            await asyncio.to_thread(to_telephone_wav, spoken, Path(scratch, "ready.wav"))
            await asyncio.to_thread(os.replace, Path(scratch, "ready.wav"), path)

    async def _run(self, *args: str) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(*args),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise SpeechUnavailable(f"the speech engine flite cannot be started: {error}") from None
        try:
            async with asyncio.timeout(_MAKE_S):
                _, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise SpeechUnavailable(f"the speech engine took longer than {_MAKE_S:g} s") from None
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip()[-200:]
            raise SpeechUnavailable(f"the speech engine failed ({process.returncode}): {reason}")
