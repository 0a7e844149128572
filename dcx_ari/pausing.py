"""Pausing the recording of a call, in whichever worker has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dcx_ari.ari.errors import AriError
from dcx_ari.asking import Asking
from dcx_ari.bus import Payload
from dcx_ari.call.call import Call
from dcx_ari.media.recording import StereoRecorder
from dcx_ari.services.errors import Unavailable
from dcx_ari.store.db import Database
from dcx_ari.store.workers import worker_of

KIND = "pause-recording"
WITHIN_S = 3.0


class Wanted(msgspec.Struct, frozen=True):
    """The question to the others; the one who has the call answers."""

    call: str
    paused: bool


class Done(msgspec.Struct, frozen=True):
    """`running`: whether a recording of the call runs. `failed`: why it could not be done."""

    running: bool = False
    failed: str = ""


class Pausing:
    """Of the worker `name` with its live `calls`. `shared` False: there is no Redis to reach others by."""

    def __init__(
        self,
        calls: Mapping[str, Call],
        recorder: StereoRecorder,
        database: Database,
        asking: Asking,
        name: str,
        now_ms: Callable[[], int],
        *,
        shared: bool,
    ) -> None:
        self._calls = calls
        self._recorder = recorder
        self._database = database
        self._asking = asking
        self._name = name
        self._now_ms = now_ms
        self._shared = shared
        asking.answer(KIND, self._answer)

    async def pause(self, call_id: str, paused: bool) -> bool:
        """Silence the recording of a live call, or go on; False where none runs. Raises Unavailable, StoreError."""
        if call_id in self._calls:
            try:
                return await self._here(call_id, paused)
            except AriError as error:
                raise Unavailable("recording", f"Asterisk: {error or 'no answer'}") from None
        owner = await worker_of(self._database, call_id)
        if owner is None or owner == self._name:
            return False
        return await self._there(owner, call_id, paused)

    async def _here(self, call_id: str, paused: bool) -> bool:
        call = self._calls[call_id]
        if call.recording_id is None:
            return False
        await self._recorder.pause(call.recording_id, paused, self._now_ms())
        call.note("recording_paused" if paused else "recording_resumed")
        return True

    async def _there(self, owner: str, call_id: str, paused: bool) -> bool:
        """All are asked: who had the call a moment ago may be dead, and another have it."""
        reason = self._asking.bus.away if self._shared else "DCX_REDIS_URL is not set"
        if reason is not None:
            raise Unavailable("recording", f"the call is with {owner}, which cannot be reached: redis: {reason}")
        wanted = msgspec.to_builtins(Wanted(call_id, paused))
        for told in (await self._asking.ask(KIND, wanted, within_s=WITHIN_S, enough=bool)).values():
            try:
                done = msgspec.convert(told, Done)
            except msgspec.ValidationError:
                continue
            if done.failed:
                raise Unavailable("recording", done.failed)
            return done.running
        raise Unavailable("recording", f"{owner}, which has the call, does not answer: try again")

    async def _answer(self, about: Payload) -> dict[str, Any] | None:
        try:
            wanted = msgspec.convert(about, Wanted)
        except msgspec.ValidationError:
            return None
        if wanted.call not in self._calls:
            return None
        try:
            done = Done(await self._here(wanted.call, wanted.paused))
        except AriError as error:
            done = Done(failed=f"Asterisk: {error or 'no answer'}")
        told: dict[str, Any] = msgspec.to_builtins(done)
        return told
