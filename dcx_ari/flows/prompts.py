"""Saying things to a party of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import PromptMissing, SpeechUnavailable
from dcx_ari.decide import templates
from dcx_ari.decide.hours import DAYS
from dcx_ari.decide.local_time import local_time
from dcx_ari.decide.periods import zone_of
from dcx_ari.flows.nodes.base import Piece


def fill(text: str, tags: Mapping[str, str]) -> str:
    """A text to be spoken, with its variables; numbers are read digit by digit."""
    if "{{" not in text:
        return text
    return templates.fill(text, {name: templates.aloud(value) for name, value in tags.items()})


def variables(call: Call) -> dict[str, str]:
    """What texts and conditions can name: the call's tags, and the time on the company's clock."""
    here = local_time(call.ports.now_ms(), zone_of(call.ports.desk.snapshot().company_zone))
    day = f"{here.day:08}"
    return {
        **call.tags,
        "time": f"{here.hour:02}:{here.minute % 60:02}",
        "hour": str(here.hour),
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}",
        "weekday": DAYS[here.weekday - 1],
    }


async def say(
    call: Call, *, text: str | None, sound: str | None, leg: Leg | None = None, barge_in: bool = False
) -> bool:
    """Speak `text`, or play `sound`, to the caller or a leg. False if it was cut short or could not be spoken."""
    if text is None and sound is None:
        return True
    piece = Piece(say=text) if text is not None else Piece(sound=sound)
    return await play_all(call, [piece], leg=leg, barge_in=barge_in)


async def play_all(call: Call, pieces: Sequence[Piece], *, leg: Leg | None = None, barge_in: bool = False) -> bool:
    """Play pieces in a row, to the caller or a leg. False if they were cut short or one of them could not be played.

    A speech engine that fails, or a prompt that is not there, must not cost the call: the piece is skipped and the
    call's history says so.
    """
    call.require()
    if barge_in and (leg or call.caller).digits:
        return False
    media = [uri for piece in pieces if (uri := await media_of(call, piece)) is not None]
    played = not media or await call.play(*media, leg=leg, barge_in=barge_in)
    return played and len(media) == len(pieces)


async def media_of(call: Call, piece: Piece) -> str | None:
    """The ARI media URI of a piece; None where it cannot be played."""
    try:
        if piece.say is not None:
            text = fill(piece.say, variables(call)) if "{{" in piece.say else piece.say
            return await call.ports.speech.say(text, piece.voice)
        if piece.prompt is not None:
            return await call.ports.prompts.media(piece.prompt)
    except SpeechUnavailable as error:
        call.note("speech_failed", error=str(error))
        return None
    except PromptMissing as error:
        call.note("prompt_missing", error=str(error))
        return None
    return f"sound:{piece.sound}"
