"""Prompts: uploaded or spoken, made even, kept below the home under the hash of what they hold."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.media import sound
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.times import rfc3339
from dcx_ari.store import models as m
from dcx_ari.store.models.prompts import PROMPT_NAME

FOLDER = "prompts"
MAX_BYTES = 32 * 1024 * 1024
MAX_S = 300.0
MAX_PROMPTS = 5_000
MAX_TEXT = 2_000
_NAME = re.compile(PROMPT_NAME)
_SHOWN = ("id", "name", "duration_ms", "size_bytes", "sha256", "text", "voice", "version")


def check_name(name: str) -> str:
    """Raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid("name", "must be 1 to 64 letters, digits, _ and -, beginning with a letter or digit")
    return name


def shown(row: m.Prompt) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _SHOWN}
    return {**values, "created_at": rfc3339(row.created_at), "updated_at": rfc3339(row.updated_at)}


async def make_file(home: Path, upload: Path, *, spoken: bool = False) -> dict[str, Any]:
    """The columns of a prompt from a file of any format. Outside of a transaction: it takes a second or two.

    Raises Invalid for what is no sound, too long or silent, OSError. Nothing is kept then.
    """
    try:
        size = (await asyncio.to_thread(upload.stat)).st_size
    except OSError as error:
        raise Invalid("file", f"cannot be read: {error.strerror}") from None
    if size > MAX_BYTES:
        raise Invalid("file", f"must not be larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return await asyncio.to_thread(_make, home, upload, spoken)
    except sound.NotSound as error:
        raise Invalid("file", str(error)) from None


def _make(home: Path, upload: Path, spoken: bool) -> dict[str, Any]:
    samples = sound.read(upload, MAX_S)
    ready = sound.even(samples if spoken else sound.trim(samples, quiet_db=-60))
    if not len(ready):
        raise sound.NotSound("there is nothing to be heard in it")
    folder = home / FOLDER
    fresh = folder / f"new-{secrets.token_hex(8)}.wav"
    made = sound.write(ready, fresh)
    relative = Path(FOLDER, f"{made.sha256[:40]}.wav")
    fresh.replace(home / relative)
    return {
        "path": str(relative),
        "duration_ms": made.duration_ms,
        "size_bytes": made.size_bytes,
        "sha256": made.sha256,
    }


async def save(
    session: AsyncSession, name: str, made: Mapping[str, Any], *, text: str | None = None, voice: str | None = None
) -> dict[str, Any]:
    """A prompt of that name, new or instead of the one before; its file is there. Raises Invalid, Conflict."""
    check_name(name)
    row = (await session.exec(select(m.Prompt).where(col(m.Prompt.name) == name).with_for_update())).first()
    now, before = now_ms(), shown(row) if row is not None else None
    if row is None:
        count = len((await session.exec(select(m.Prompt.id).limit(MAX_PROMPTS))).all())
        if count >= MAX_PROMPTS:
            raise Conflict("name", f"there are {MAX_PROMPTS} prompts already")
        row = m.Prompt(name=name, created_at=now, **made)
    else:
        row.sqlmodel_update({**made, "version": row.version + 1})
    row.text, row.voice, row.updated_at = text, voice, now
    session.add(row)
    await session.flush()
    after = shown(row)
    await audit.record(session, "prompt.changed" if before else "prompt.created", "prompt", row.id, before, after)
    return after


async def find_prompt(session: AsyncSession, name: str) -> m.Prompt:
    """By name. Raises NotFound."""
    row = None
    if _NAME.fullmatch(name):
        row = (await session.exec(select(m.Prompt).where(col(m.Prompt.name) == name))).first()
    if row is None:
        raise NotFound("prompt", f"there is no prompt {name!r}")
    return row


async def list_prompts(session: AsyncSession) -> list[dict[str, Any]]:
    """By name; all of them."""
    return [shown(row) for row in (await session.exec(select(m.Prompt).order_by(col(m.Prompt.name)))).all()]


async def remove(session: AsyncSession, home: Path, name: str) -> dict[str, Any]:
    """Delete a prompt that nothing names. Raises NotFound, Conflict.

    Its file goes too, unless another prompt sounds the same; a call that plays it just now plays it to the end.
    """
    row = await find_prompt(session, name)
    if users := await used_by(session, name):
        raise Conflict("prompt", f"{name} is used by {', '.join(users[:5])}")
    before = shown(row)
    await session.delete(row)
    await session.flush()
    await audit.record(session, "prompt.deleted", "prompt", before["id"], before, None)
    others = (await session.exec(select(m.Prompt.id).where(col(m.Prompt.path) == row.path).limit(1))).first()
    if others is None:
        await asyncio.to_thread(file_of(home, row.path).unlink, missing_ok=True)
    return before


async def used_by(session: AsyncSession, name: str) -> list[str]:
    """What names a prompt: numbers, drafts of flows, and versions that calls run."""
    number = m.Number
    numbers = await session.exec(
        select(number.phone_number)
        .where(col(number.voicemail_greeting) == name)
        .order_by(col(number.phone_number))
        .limit(6)
    )
    found = [f"number {each}" for each in numbers.all()]
    flows = (await session.exec(select(m.Flow).order_by(col(m.Flow.name)))).all()
    for flow in flows:
        version = m.FlowVersion
        newest = select(version.document).where(col(version.flow_id) == flow.id)
        document = (await session.exec(newest.order_by(col(version.number).desc()).limit(1))).first()
        if _names(flow.document, name) or _names(document, name):
            found.append(f"flow {flow.name}")
    return found


def _names(part: Any, name: str) -> bool:
    if isinstance(part, dict):
        return part.get("prompt") == name or any(_names(each, name) for each in part.values())
    return isinstance(part, list | tuple) and any(_names(each, name) for each in part)


def file_of(home: Path, path: str) -> Path:
    """Where a prompt's file is: below its folder, whatever the row says. Raises NotFound."""
    found = (home / path).resolve()
    if not found.is_relative_to((home / FOLDER).resolve()):
        raise NotFound("prompt", "its file is not where prompts are")
    return found
