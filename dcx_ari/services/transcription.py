"""Voicemails become text: a job off the call path, bounded, tried again, and never worth a voicemail."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from sqlmodel import col, select

from dcx_ari.services.errors import Refused
from dcx_ari.services.voicemails import file_of
from dcx_ari.store.db import Database
from dcx_ari.store.models.voicemails import Voicemail

log = logging.getLogger(__name__)

_LOOK_MS = 10_000
_FIRST_WAIT_MS = 30_000
_TRIES = 5
_AT_ONCE = 4
_MAKE_S = 600.0
_LONGEST = 20_000


class TranscriptionFailed(Exception):
    """No text; the message says why, in a few words and without the key. `final`: trying again cannot help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Transcriber(Protocol):
    """Anything that writes down what is said in a WAV file."""

    async def transcribe(self, path: Path) -> tuple[str, float | None]:
        """What was said, and how sure that is from 0 to 1 (None: not told). Raises TranscriptionFailed."""
        ...


async def transcribe_job(database: Database, home: Path, transcriber: Transcriber | None, now: int) -> int:
    """Write down what is waiting, oldest first; when to look again. Both times epoch ms."""
    if transcriber is None:
        return now + 3_600_000
    waiting = (col(Voicemail.audio) == "ready", col(Voicemail.transcribing) == "waiting")
    found = select(Voicemail).where(*waiting, col(Voicemail.transcription_next_at) <= now)
    async with database.read() as session:
        rows = (await session.exec(found.order_by(col(Voicemail.created_at), col(Voicemail.id)).limit(_AT_ONCE))).all()
    for row in rows:
        await _transcribe(database, home, transcriber, row, now)
    return now if len(rows) == _AT_ONCE else now + _LOOK_MS


async def _transcribe(database: Database, home: Path, transcriber: Transcriber, row: Voicemail, now: int) -> None:
    text, confidence, failed = "", None, None
    try:
        async with asyncio.timeout(_MAKE_S):
            text, confidence = await transcriber.transcribe(file_of(home, row))
    except TranscriptionFailed as error:
        failed = error
    except TimeoutError:
        failed = TranscriptionFailed(f"it took longer than {_MAKE_S:g} s")
    except (Refused, OSError) as error:
        failed = TranscriptionFailed(str(error), final=True)
    async with database.write() as session:
        kept = await session.get(Voicemail, row.id, with_for_update=True)
        if kept is None or kept.transcribing != "waiting":
            return
        kept.transcription_tries += 1
        if failed is None:
            kept.transcription = "".join(c if c.isprintable() or c == "\n" else " " for c in text)[:_LONGEST].strip()
            kept.transcription_confidence = None if confidence is None else min(1.0, max(0.0, confidence))
            kept.transcribing, kept.transcription_error = "done", None
        else:
            log.warning("a voicemail could not be transcribed: %s", failed)
            over = failed.final or kept.transcription_tries >= _TRIES
            kept.transcribing, kept.transcription_error = ("failed" if over else "waiting"), str(failed)[:500]
            kept.transcription_next_at = now + _FIRST_WAIT_MS * 4 ** (kept.transcription_tries - 1)
        session.add(kept)
