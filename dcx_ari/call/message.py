"""Record what the caller says, without anybody at the other end: Asterisk writes it into its spool.

Two facts of Asterisk's: only a channel that is in no bridge can be recorded, and the answer 201 promises nothing, the
event `RecordingFailed` may follow it.
"""

from __future__ import annotations

import contextlib

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.call.call import Call

_CLOSES_S = 3.0
_ENDS_S = 15.0  # Asterisk's own limit comes first; this is for an event that never comes


class NotRecorded(Exception):
    """Asterisk refused; the message says why."""


async def record_caller(
    call: Call, name: str, *, max_s: int, silence_s: int, terminate_on: str = "none", beep: bool = True
) -> None:
    """Begin to record, after everything that plays. `name` is of the call (`{call}.vm1`): the file is
    `recording/{name}.wav` in Asterisk's spool. Raises NotRecorded, CallEnded.
    """
    call.require()
    call.recorded[name] = None
    try:
        await call.ari.channels.record(
            call.caller.id,
            name=name,
            format="wav",
            max_duration_seconds=max_s,
            max_silence_seconds=silence_s,
            if_exists="overwrite",
            beep=beep,
            terminate_on=terminate_on,
        )
    except AriError as error:
        call.recorded[name] = "failed"
        raise NotRecorded(str(error)) from None


async def until_recorded(call: Call, name: str, max_s: float, finish: str = "none") -> bool:
    """Wait for the end of a recording, or for the digit `finish` (`any`, `none`); False if it failed.

    Raises CallEnded when the caller hung up.
    """
    digits = call.caller.digits

    def over() -> bool:
        return call.recorded.get(name) is not None or bool(digits if finish == "any" else finish in digits)

    await call.wait(over, max_s + _ENDS_S)
    if call.recorded.get(name) is None:
        with contextlib.suppress(AriError):
            await call.ari.recordings.stop(name)
        await call.wait(lambda: call.recorded.get(name) is not None, _CLOSES_S)
    digits.clear()
    return call.recorded.get(name) != "failed"


async def still_records(call: Call, name: str) -> bool:
    """Whether Asterisk is at it: for a process that did not begin it."""
    call.recorded.setdefault(name, None)
    try:
        await call.ari.recordings.get_live(name)
    except Gone:
        return False
    except AriError as error:
        raise NotRecorded(str(error)) from None
    return True
