"""Who writes down voicemails: a service asked over HTTP, or pocketsphinx on this machine.

`DCX_TRANSCRIBER` is one of

    openai+https://host[:port][/path]?model=…&language=…    as OpenAI: POST …/v1/audio/transcriptions, multipart
    deepgram+https://host[:port][/path]?model=…&language=…  as Deepgram: POST …/v1/listen, the audio as body
    pocketsphinx                                            on this machine; about half of the words are right
    none                                                    nobody

(`+http` is for one's own network.) Unset: pocketsphinx if it is installed, else nobody. `DCX_TRANSCRIBER_KEY`
is the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from dcx_ari.services.transcription import Transcriber, TranscriptionFailed
from dcx_ari.settings import SettingsError

SPHINX_CONFIDENCE = 0.3
"""Whatever pocketsphinx thinks of itself: 46 to 60 % of the words of real callers were wrong when it was measured."""
_ASK_S = 120.0
_MAX_ANSWER = 1024 * 1024
_FORM = "such as openai+https://host?model=whisper-1, deepgram+https://host, pocketsphinx or none"
_PATHS = {"openai": "/v1/audio/transcriptions", "deepgram": "/v1/listen"}


def transcriber_of(setting: str, key: str = "") -> Transcriber | None:
    """What the setting names. Raises SettingsError."""
    if setting == "none" or (not setting and find_spec("pocketsphinx") is None):
        return None
    if setting in ("", "pocketsphinx"):
        if find_spec("pocketsphinx") is None:
            raise SettingsError("DCX_TRANSCRIBER: pocketsphinx is not installed: pip install 'dcx-ari[speech]'")
        return Sphinx()
    parts = urlsplit(setting)
    kind, _, scheme = parts.scheme.partition("+")
    if kind not in _PATHS or scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"DCX_TRANSCRIBER: must be {_FORM}")
    if parts.username or parts.password:
        raise SettingsError("DCX_TRANSCRIBER: the key belongs into DCX_TRANSCRIBER_KEY")
    url = parts._replace(scheme=scheme, path=parts.path if parts.path.strip("/") else _PATHS[kind], fragment="")
    return OpenAi(url.geturl(), key) if kind == "openai" else Deepgram(url.geturl(), key)


class _Http:
    def __init__(self, url: str, authorization: str) -> None:
        self._url = url
        self._headers = {"Authorization": authorization} if authorization else {}

    async def _ask(self, data: Any, url: str, headers: dict[str, str]) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=_ASK_S)
        raw = bytearray()
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(url, data=data, headers={**self._headers, **headers}, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    final = 300 <= answer.status < 500 and answer.status not in (408, 409, 425, 429)
                    raise TranscriptionFailed(f"the service answers {answer.status}", final=final)
                async for chunk in answer.content.iter_chunked(65_536):
                    raw += chunk
                    if len(raw) > _MAX_ANSWER:
                        raise TranscriptionFailed("the answer is too long", final=True)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TranscriptionFailed(f"the service does not answer: {type(error).__name__}") from None
        try:
            said = msgspec.json.decode(bytes(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise TranscriptionFailed("the answer is no JSON object", final=True)
        return said


class OpenAi(_Http):
    """What OpenAI, and servers that speak like it, call audio transcriptions."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        super().__init__(parts._replace(query="").geturl(), f"Bearer {key}" if key else "")
        self._fields = dict(each.split("=", 1) for each in parts.query.split("&") if "=" in each)

    async def transcribe(self, path: Path) -> tuple[str, float | None]:
        form = aiohttp.FormData({"model": "whisper-1", "response_format": "verbose_json", **self._fields})
        content = await asyncio.to_thread(path.read_bytes)
        form.add_field("file", content, filename="voicemail.wav", content_type="audio/wav")
        said = await self._ask(form, self._url, {})
        if not isinstance(said.get("text"), str):
            raise TranscriptionFailed("the answer has no text", final=True)
        return said["text"], _of_segments(said.get("segments"))


class Deepgram(_Http):
    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, f"Token {key}" if key else "")

    async def transcribe(self, path: Path) -> tuple[str, float | None]:
        content = await asyncio.to_thread(path.read_bytes)
        said = await self._ask(content, self._url, {"Content-Type": "audio/wav"})
        try:
            best = said["results"]["channels"][0]["alternatives"][0]
            text, confidence = best["transcript"], best.get("confidence")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise TranscriptionFailed("the answer has no transcript", final=True) from None
        if not isinstance(text, str):
            raise TranscriptionFailed("the answer has no transcript", final=True)
        return text, float(confidence) if isinstance(confidence, int | float) else None


class Sphinx:
    """In a process of its own, with low priority: it needs a third of the time that the message lasts."""

    async def transcribe(self, path: Path) -> tuple[str, float | None]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dcx_ari.integrations.sphinx", str(path)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complaint = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode != 0:
            raise TranscriptionFailed(f"pocketsphinx failed: {complaint.decode(errors='replace').strip()[-200:]}")
        return said.decode("utf-8", "replace").strip(), SPHINX_CONFIDENCE


def _of_segments(segments: Any) -> float | None:
    """Whisper tells the mean log probability of the words of each segment."""
    if not isinstance(segments, list):
        return None
    known = [each.get("avg_logprob") for each in segments if isinstance(each, dict)]
    numbers = [float(each) for each in known if isinstance(each, int | float) and each <= 0]
    return math.exp(sum(numbers) / len(numbers)) if numbers else None
