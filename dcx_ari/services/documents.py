"""Flow documents as people write them, checked before they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.flows.checking import check, check_text
from dcx_ari.flows.document import load_yaml
from dcx_ari.flows.known import Known
from dcx_ari.flows.problems import BadFlow, Problem, errors
from dcx_ari.flows.source import MAX_BYTES, Source
from dcx_ari.services.errors import Invalid
from dcx_ari.store import models as m

__all__ = ["MAX_BYTES", "Known", "Problem", "check_flow", "check_text", "errors", "known_of", "load_yaml"]

_MOST_TOLD = 10


async def check_flow(_session: AsyncSession, values: Mapping[str, Any], _row_id: int | None) -> None:
    """A document that cannot be run is refused when it is written, not found out by a caller. What it names besides its
    own nodes may still be to come: a draft is kept, and publishing asks for it.
    """
    _, problems = check(Source(values["document"]))
    found = errors(problems)
    if found:
        raise Invalid("document", str(BadFlow(found[:_MOST_TOLD])))


async def known_of(session: AsyncSession) -> Known:
    """What flows may name, as the database has it; of speech and sounds, what `session.info["audible"]` answers: who
    opened the database knows the Asterisk that calls go through.
    """
    ask: Callable[[], Known] = session.info.get("audible", Known)
    return replace(
        await asyncio.to_thread(ask),
        schedules=frozenset((await session.exec(select(m.Schedule.name))).all()),
        campaigns=frozenset((await session.exec(select(m.Campaign.name))).all()),
        prompts=frozenset((await session.exec(select(m.Prompt.name))).all()),
    )
