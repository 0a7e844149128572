"""What people do about one call: a note, an outcome, its caller blocked, its recordings held."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit, rows
from dcx_ari.services.call_conditions import outcome_of
from dcx_ari.services.calls import find_call
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.parse import check_text
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m

_MAX_NOTE = 10_000
_MAX_OUTCOME = 50


async def add_note(session: AsyncSession, call_id: str, text: str) -> dict[str, Any]:
    """Raises NotFound, Invalid."""
    call = await find_call(session, call_id)
    words = _text("text", text, _MAX_NOTE)
    note = m.CallNote(call_id=call.id, text=words, created_by=_who(session), created_at=now_ms())
    session.add(note)
    await session.flush()
    await audit.record(session, "call.noted", "call", call.id, None, {"note": words})
    return _shown(note)


async def set_outcome(session: AsyncSession, call_id: str, outcome: str | None) -> str | None:
    """What came of the call, in one spelling (`Follow up` is `follow-up`); None: nothing. Raises NotFound, Invalid."""
    call = await find_call(session, call_id)
    wanted = None
    if outcome is not None and outcome.strip():
        wanted = outcome_of(_text("outcome", outcome, _MAX_OUTCOME))
        if not wanted or "," in wanted:
            raise Invalid("outcome", "must be a word or two, without a comma")
    before = call.outcome
    if wanted != before:
        # One column, by itself: the engine may be writing the others of a live call.
        await session.exec(update(m.Call).where(col(m.Call.id) == call.id).values(outcome=wanted))
        await audit.record(session, "call.outcome_set", "call", call.id, {"outcome": before}, {"outcome": wanted})
    return wanted


async def block_caller(session: AsyncSession, call_id: str, reason: str = "") -> dict[str, Any]:
    """Put the caller on the blacklist: from now on no call from there is taken. Raises NotFound, Invalid, Conflict."""
    call = await find_call(session, call_id)
    if not call.caller.startswith("+"):
        raise Invalid("caller", "withheld its number: it cannot be blocked")
    wanted = {
        "phone_number": call.caller,
        "list_type": "blacklist",
        "reason": reason.strip() or f"call {call.id}",
        "added_by": _who(session),
    }
    row = await rows.create(session, RESOURCES["suppressions"], wanted)
    await audit.record(session, "call.caller_blocked", "call", call.id, None, {"phone_number": call.caller})
    return row


async def hold_call(session: AsyncSession, call_id: str, reason: str) -> dict[str, Any]:
    """Legal hold: nothing deletes the call's recordings until it is released. Raises NotFound, Invalid, Conflict."""
    call = await find_call(session, call_id)
    words = _text("reason", reason, 255)
    held = await session.get(m.LegalHold, call.id)
    if held is not None:
        raise Conflict("call", f"{call.id} is on hold already: {held.reason}")
    held = m.LegalHold(call_id=call.id, reason=words, created_by=_who(session), created_at=now_ms())
    session.add(held)
    await session.flush()
    await audit.record(session, "call.held", "call", call.id, None, {"reason": words}, words)
    return _shown(held)


async def release_call(session: AsyncSession, call_id: str) -> None:
    """End a legal hold. Raises NotFound."""
    call = await find_call(session, call_id)
    held = await session.get(m.LegalHold, call.id)
    if held is None:
        raise NotFound("call", f"{call.id} is not on hold")
    await session.delete(held)
    await session.flush()
    await audit.record(session, "call.released", "call", call.id, {"reason": held.reason}, None)


def _who(session: AsyncSession) -> str:
    name: str = session.info.get("actor", audit.SYSTEM).name
    return name[:255]


def _text(name: str, value: str, most: int) -> str:
    check_text(name, value)
    words = value.strip()
    if not words:
        raise Invalid(name, "must not be empty")
    if len(words) > most:
        raise Invalid(name, f"must be at most {most} characters")
    return words


def _shown(row: m.CallNote | m.LegalHold) -> dict[str, Any]:
    return {name: plain(name, getattr(row, name)) for name in type(row).model_fields}
