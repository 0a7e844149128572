"""Saying things to a party of a call."""

from __future__ import annotations

import re

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import SpeechUnavailable

_VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")


def fill(text: str, tags: dict[str, str]) -> str:
    """`{{name}}` replaced by the tag of that name, by nothing where there is none. No other expression exists.

    >>> fill("A call from {{source}}.", {"source": "Radio"})
    'A call from Radio.'
    """
    return _VARIABLE.sub(lambda found: tags.get(found.group(1), ""), text)


async def say(
    call: Call, *, text: str | None, sound: str | None, leg: Leg | None = None, barge_in: bool = False
) -> bool:
    """Speak `text`, or play `sound`, to the caller or a leg. False if it was cut short or could not be spoken.

    A speech engine that fails must not cost the call: the prompt is skipped and the call's history says so.
    """
    if text is None and sound is None:
        return True
    if text is None:
        return await call.play(f"sound:{sound}", leg=leg, barge_in=barge_in)
    try:
        return await call.speak(fill(text, call.tags), leg=leg, barge_in=barge_in)
    except SpeechUnavailable as error:
        call.note("speech_failed", error=str(error))
        return False
