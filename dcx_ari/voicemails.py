"""Prompts and voicemail on the real store: what callers hear that was uploaded, and what they leave.

A voicemail's row is committed before Asterisk begins to record. Whatever dies then, the row says which file of
Asterisk's spool is to be fetched: `run` looks for rows whose call is over.
"""

from __future__ import annotations

import asyncio
import json
import logging
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath
from typing import Any

from sqlalchemy import update
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.call.call import Call
from dcx_ari.call.ports import Message, PromptMissing, Speech, SpeechUnavailable
from dcx_ari.call.tasks import Spawner
from dcx_ari.media import sound
from dcx_ari.media.recording import mend
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.prompts import file_of, find_prompt
from dcx_ari.services.times import rfc3339
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.journal import Journal
from dcx_ari.store.mail import BadMail, Mail, put_mail
from dcx_ari.store.models import Call as CallRow
from dcx_ari.store.models import Number
from dcx_ari.store.models.voicemails import Voicemail

log = logging.getLogger(__name__)

FOLDER = "voicemail"
_INCOMPLETE_WAITS_S = (0.1, 0.4, 1.5)
_KEEP_S = 5.0  # that the end of a call waits for its message
_LOOK_S = 20.0
_AT_ONCE = 20
_MAX_S = 960.0
_SHORTEST_MS = 500
_HEADER = 44
_BEGIN = (
    "INSERT INTO voicemails (id, call_id, priority, mail_to, created_at, updated_at, number_id, campaign_id, caller) "
    "VALUES (?, ?, ?, ?, ?, ?, (SELECT number_id FROM calls WHERE id = ?), "
    "(SELECT campaign_id FROM calls WHERE id = ?), (SELECT caller FROM calls WHERE id = ?)) ON CONFLICT DO NOTHING"
)


def speaker(speech: Speech) -> Callable[[str, str], Awaitable[Path]]:
    """(text, voice) -> the file that says it. Raises Invalid where it cannot be spoken."""

    async def speak(text: str, voice: str) -> Path:
        try:
            uri = await speech.say(text, voice)
        except SpeechUnavailable as error:
            raise Invalid("text", str(error)) from None
        return Path(f"{uri.removeprefix('sound:')}.wav")

    return speak


class PromptFiles:
    """Implements the `Prompts` port. What was found once is played also while the database is away."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home
        self._last: dict[str, str] = {}

    async def media(self, name: str) -> str:
        try:
            async with self._database.read() as session:
                self._last[name] = (await find_prompt(session, name)).path
        except StoreError as error:
            if name not in self._last:
                raise PromptMissing(f"prompt {name!r}: {error}") from None
        except NotFound as error:
            self._last.pop(name, None)
            raise PromptMissing(str(error)) from None
        try:
            path = file_of(self._home, self._last[name])
        except NotFound as error:
            raise PromptMissing(str(error)) from None
        if not await asyncio.to_thread(path.is_file):
            raise PromptMissing(f"prompt {name!r}: its file {self._last[name]} is missing")
        return f"sound:{path.with_suffix('')}"


class VoicemailBox:
    """Implements the `Voicemails` port. `spool` is where Asterisk writes what ARI records."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        home: Path,
        spool: Path,
        now_ms: Callable[[], int],
        worker: str,
        *,
        transcribes: bool = False,
    ) -> None:
        self._database = database
        self._journal = journal
        self._home = home
        self._spool = spool
        self._now_ms = now_ms
        self._worker = worker
        self._transcribes = transcribes
        self._spawner = Spawner()
        self._working: set[str] = set()

    def greeting(self, call: Call) -> str | None:
        number = call.ports.desk.snapshot().number(call.facts.dialled)
        return number.voicemail_greeting if number is not None else None

    async def begin(self, call: Call, voicemail_id: str, message: Message) -> None:
        now = self._now_ms()
        mail_to = json.dumps(list(message.mail_to))
        values = (voicemail_id, call.id, message.priority, mail_to, now, now, call.id, call.id, call.id)
        self._journal.statement(_BEGIN, [values])
        try:
            await self._journal.durable()
        except StoreError as error:  # it is written as soon as that is possible
            log.warning("a voicemail begins without a database: %s", error, extra={"call": call.id})

    async def under_way(self, call: Call) -> str | None:
        open_one = select(Voicemail.id).where(col(Voicemail.call_id) == call.id, col(Voicemail.audio) == "recording")
        try:
            async with self._database.read() as session:
                return (await session.exec(open_one.order_by(col(Voicemail.id).desc()).limit(1))).first()
        except StoreError:
            return None

    async def finish(self, call: Call, voicemail_id: str) -> bool:
        if voicemail_id in self._working:
            return False
        self._working.add(voicemail_id)
        keeping = self._keep(voicemail_id, call.recorded.get(voicemail_id) == "done")
        work = self._spawner.spawn(keeping, f"voicemail {voicemail_id}")
        done, _ = await asyncio.wait([work], timeout=_KEEP_S)  # the work goes on if we are cancelled
        return bool(done) and not work.cancelled() and work.exception() is None and work.result() is True

    async def drain(self, grace_s: float) -> None:
        await self._spawner.finish(grace_s)

    async def run(self) -> None:
        """For ever: fetch what was recorded when its process died, or the database was away."""
        while True:
            try:
                await self.collect()
            except StoreError as error:
                log.warning("voicemails: %s", error)
            await asyncio.sleep(_LOOK_S)

    async def collect(self) -> None:
        """Finish messages of calls that are over. Raises StoreError."""
        lost = (col(Voicemail.audio) == "recording", col(CallRow.ended_at).is_not(None))
        found = select(Voicemail.id).join(CallRow, col(CallRow.id) == col(Voicemail.call_id))
        found = found.where(*lost, col(CallRow.worker) == self._worker).order_by(col(Voicemail.id)).limit(_AT_ONCE)
        async with self._database.read() as session:
            ids = (await session.exec(found)).all()
        for voicemail_id in ids:
            if voicemail_id not in self._working:
                self._working.add(voicemail_id)
                await self._keep(voicemail_id, True)

    # -- from Asterisk's file to ours -----------------------------------------------------------------------

    async def _keep(self, voicemail_id: str, recorded: bool) -> bool:
        """Whether there is a message in it. `recorded`: its file must be there."""
        source = self._spool / f"{voicemail_id}.wav"
        relative = PurePath(FOLDER, voicemail_id[:6], f"{voicemail_id}.wav")
        try:
            made, error = await self._make(source, self._home / relative, recorded)
            await self._book(voicemail_id, str(relative), made, error)
            if error is None:
                await asyncio.to_thread(source.unlink, missing_ok=True)
        except StoreError as away:
            log.error("a voicemail waits for the database: %s", away)
            return False
        finally:
            self._working.discard(voicemail_id)
        return made is not None or error is not None

    async def _make(self, source: Path, target: Path, recorded: bool) -> tuple[sound.Made | None, str | None]:
        """The finished file, None where nobody said anything; or why there is none."""
        try:
            if not await self._complete(source):
                return None, None
            return await asyncio.to_thread(_even, source, target), None
        except (OSError, sound.NotSound) as error:
            if isinstance(error, FileNotFoundError) and not recorded:
                return None, None  # the caller was gone before Asterisk began
            log.error("voicemail %s: %s", source.name, error)
            return None, (error.strerror if isinstance(error, OSError) else None) or str(error)

    async def _complete(self, source: Path) -> bool:
        """Wait until Asterisk has finished the file; write the sizes that it lacks if Asterisk died. False: empty."""
        for wait_s in _INCOMPLETE_WAITS_S:
            if await asyncio.to_thread(_whole, source):
                break
            await asyncio.sleep(wait_s)
        else:
            await asyncio.to_thread(mend, source)
        return (await asyncio.to_thread(source.stat)).st_size > _HEADER

    async def _book(self, voicemail_id: str, path: str, made: sound.Made | None, error: str | None) -> None:
        """Raises StoreError."""
        await self._journal.durable()
        async with self._database.write() as session:
            if made is None and error is None:
                await session.exec(delete(Voicemail).where(col(Voicemail.id) == voicemail_id))
                return
            row = await session.get(Voicemail, voicemail_id, with_for_update=True)
            if row is None or row.audio != "recording":
                return
            row.audio, row.error, row.updated_at = ("ready" if made else "failed"), error, self._now_ms()
            row.transcribing = "waiting" if made and self._transcribes else "none"
            if made is not None:
                row.path, row.sha256 = path, made.sha256
                row.size_bytes, row.duration_ms = made.size_bytes, made.duration_ms
            session.add(row)
            over = (col(CallRow.id) == row.call_id, col(CallRow.ended_at).is_not(None))
            await session.exec(update(CallRow).where(*over).values(status="VOICEMAIL"))
            await _mail(session, row)


def _whole(source: Path) -> bool:
    """Whether the header knows of all the sound. Raises OSError."""
    try:
        with wave.open(str(source)) as file:
            known: int = _HEADER + 2 * file.getnframes() + 1
        return source.stat().st_size <= known
    except (wave.Error, EOFError):
        return False


def _even(source: Path, target: Path) -> sound.Made | None:
    samples = sound.trim(sound.read(source, _MAX_S))
    if len(samples) * 1000 < _SHORTEST_MS * sound.RATE:
        return None
    return sound.write(sound.even(samples), target)


async def _mail(session: AsyncSession, row: Voicemail) -> None:
    """In the transaction that makes the message one."""
    if not row.mail_to:
        return
    number = await session.get(Number, row.number_id) if row.number_id else None
    to: Any = number.friendly_name or number.phone_number if number else "an exchange of yours"
    lines = [
        f"{row.caller or 'Somebody'} left a message of {round(row.duration_ms / 1000)} s for {to}.",
        f"When: {rfc3339(row.created_at)}.",
        *([f"There is no audio: {row.error}"] if row.error else []),
        f"Listen: dcx voicemail play {row.id}",
        f"Call back: dcx voicemail schedule-callback {row.id} --due …",
    ]
    attached = [(f"voicemail-{row.id}.wav", "audio/wav", PurePath(row.path))] if row.path else []
    mail = Mail(row.mail_to, f"Voicemail from {row.caller or 'an unknown caller'}", "\n".join(lines), None, attached)
    try:
        await put_mail(session, mail, dedupe_key=f"voicemail/{row.id}/mail", event="voicemail")
    except BadMail as error:
        log.error("a voicemail could not be mailed: %s", error)
