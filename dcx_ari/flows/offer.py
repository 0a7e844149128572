"""One offer of a caller to one party: what that party hears before the bridge, and the talk itself."""

from __future__ import annotations

from dataclasses import dataclass

from dcx_ari.call.bridging import join, part
from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.flows.prompts import say

_ACCEPT_PROMPT = "Press {digit} to take this call."


@dataclass(frozen=True, slots=True)
class Terms:
    """How the answering party is greeted. `whisper` is spoken to it alone; `accept_digit` must then be pressed."""

    whisper: str | None = None
    accept_digit: str | None = None
    accept_timeout_s: float = 10.0


async def accepted(call: Call, leg: Leg, terms: Terms) -> bool:
    """Whisper, then wait for the accept digit if one is asked for. The caller hears ringing or music meanwhile."""
    prompt = " ".join(_lines(terms))
    if not prompt:
        return True
    call.note_stage("whispering", leg=leg.id)
    await say(call, text=prompt, sound=None, leg=leg, barge_in=terms.accept_digit is not None)
    if terms.accept_digit is None:
        return leg.live
    entry = await call.digits(
        DigitRule(choices=frozenset({terms.accept_digit})),
        first_s=terms.accept_timeout_s,
        between_s=1.0,
        leg=leg,
    )
    return isinstance(entry, Complete) and leg.live


def _lines(terms: Terms) -> list[str]:
    lines = [terms.whisper] if terms.whisper else []
    if terms.accept_digit is not None:
        lines.append(_ACCEPT_PROMPT.format(digit=terms.accept_digit))
    return lines


async def talk(call: Call, leg: Leg, *, record: bool) -> float:
    """Bridge the caller with the leg until the leg hangs up; returns the seconds they talked.

    Raises `CallEnded` when it is the caller who hangs up.
    """
    await join(call, leg, record=record)
    return await until_parted(call, leg)


async def until_parted(call: Call, leg: Leg) -> float:
    """The rest of a talk that has begun; as `talk`."""
    await call.wait(lambda: not leg.live)
    await part(call, leg)
    began = leg.bridged_at or call.ports.now_ms()
    return ((leg.ended_at or call.ports.now_ms()) - began) / 1000
