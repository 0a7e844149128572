"""Listen to what the caller says while a menu waits for digits.

The caller's own channel is left alone: it goes on hearing prompts and telling digits. A snoop takes what the caller
says into a bridge with a WebSocket channel of Asterisk's, and the `ears` port reads that. Seen on 22.10.1: the
WebSocket channel comes into our application when somebody has connected to its socket, not before; a snoop ends with
the channel that it listens to, the WebSocket channel does not; closing the socket hangs the WebSocket channel up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Self

from dcx_ari.ari import events as ev
from dcx_ari.ari.errors import AriError, Gone, Unreachable
from dcx_ari.call.call import Call
from dcx_ari.call.ports import Heard, ListeningFailed
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.causes import Cause

_SET_UP_S = 5.0
_PUT_AWAY_S = 3.0
_LATE_S = 12.0  # the longest utterance and its recognition: what was begun in time is waited for
_FORMAT = "slin"  # 16 bit, 8 kHz: what callers' lines carry


class Listening:
    """From the beginning of a menu to its end; `async with`. `choices` are phrases by choice.

    What was said while a prompt played does not count (it may be the prompt's own echo), unless `over`: then a choice
    stops the prompt. Where listening fails, digits work as ever, and the call's history has `listening_failed`.
    """

    def __init__(self, call: Call, choices: Mapping[str, Sequence[str]], *, over: bool = False) -> None:
        self._call = call
        self._choices = choices
        self._over = over
        self.attends = False  # digits are waited for: no prompt plays
        self.counts = False  # what is being said counts
        self._answer: Heard | None = None
        self._in_stasis: set[str] = set()
        self._snoop, self._media, self._bridge = call.mint("snoop"), call.mint("media"), call.mint("ears")
        self._task: asyncio.Task[None] | None = None
        self._making: asyncio.Task[str] | None = None

    async def __aenter__(self) -> Self:
        self._call.listening = self
        self._task = asyncio.create_task(self._run(), name=f"listening {self._media}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.listening = None
        if self._task is not None:  # it puts everything away; the caller does not wait for that, `close` does
            self._task.cancel()

    async def close(self) -> None:
        """At the end of the call: wait until everything is put away, and try once more where that is not sure."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_PUT_AWAY_S / 2)
            await cancel_and_wait(self._task, *([self._making] if self._making else []))
        if self in self._call.listened:
            self._call.listened.remove(self)
            await self._put_away()

    # -- what the call asks ---------------------------------------------------------------------------------

    @property
    def chosen(self) -> bool:
        """A choice has been said."""
        return self._answer is not None and self._answer.choice is not None

    async def until_answered(self, timeout_s: float) -> Heard | None:
        """Wait for a digit or for something said. None for a digit, which goes first, and for silence."""
        call, caller = self._call, self._call.caller
        if not self.chosen:
            self._answer = None
        self.attends = True

        def answered() -> bool:
            return bool(caller.digits) or self._answer is not None

        try:
            if not await call.wait(answered, timeout_s) and self.counts:
                await call.wait(lambda: answered() or not self.counts, _LATE_S)
        finally:
            self.attends = self.counts = False
        said, self._answer = self._answer, None
        if caller.digits or said is None:
            return None
        caller.pressed += 1
        call.note("said" if said.choice is not None else "not_understood", words=said.words, choice=said.choice)
        return said

    def on_event(self, event: ev.Event, resource_id: str) -> None:
        if isinstance(event, ev.StasisStart):
            self._in_stasis.add(resource_id)

    # -- what the ears tell ---------------------------------------------------------------------------------

    def speaks(self) -> None:
        self.counts = self.attends or self._over

    def heard(self, what: Heard | None) -> None:
        counts, self.counts = self.counts, False
        if counts and what is not None and (self.attends or what.choice is not None):
            self._answer = self._answer or what
        self._call.nudge()

    # -- channels -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._call.listened.append(self)
        self._making = asyncio.create_task(self._connection(), name=f"make {self._media}")
        try:
            await self._listen(await asyncio.shield(self._making))
        except (AriError, ListeningFailed, TimeoutError) as error:
            self._failed(str(error) or "Asterisk was too slow")
        finally:
            await asyncio.wait([self._making])  # what is half made cannot be put away
            sure = not isinstance(self._making.exception(), Unreachable | TimeoutError)
            if await self._put_away() and sure:
                self._call.listened.remove(self)

    async def _listen(self, connection: str) -> None:
        hearing = asyncio.create_task(
            self._call.ports.ears.listen(connection, self._choices, self), name=f"hear {self._media}"
        )
        joining = asyncio.create_task(self._join(), name=f"join {self._media}")
        try:
            done, _ = await asyncio.wait([hearing, joining], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await cancel_and_wait(hearing, joining)
        raise ListeningFailed("the media socket was closed")

    def _failed(self, why: str) -> None:
        self.counts = False
        if self._call.caller.live:
            self._call.note("listening_failed", error=why)
        self._call.nudge()

    async def _connection(self) -> str:
        """Make snoop and WebSocket channel; the random id under which that one's socket can be opened."""
        call, ari = self._call, self._call.ari
        async with asyncio.timeout(_SET_UP_S):
            await ari.channels.snoop_channel_with_id(call.caller.id, self._snoop, app=call.app, spy="in")
            made = await ari.channels.external_media(
                app=call.app,
                channel_id=self._media,
                external_host="INCOMING",
                transport="websocket",
                encapsulation="none",
                connection_type="server",
                format=_FORMAT,
                transport_data="f(json)",
                variables=call.marks("media"),
            )
        connection = (made.channelvars or {}).get("MEDIA_WEBSOCKET_CONNECTION_ID")
        if not isinstance(connection, str) or not connection:
            raise ListeningFailed("Asterisk names no media socket: is chan_websocket loaded?")
        return connection

    async def _join(self) -> None:
        """Once the socket is open: the caller's voice into it."""
        call, both = self._call, {self._snoop, self._media}
        async with asyncio.timeout(_SET_UP_S):
            await call.wait_any(lambda: both <= self._in_stasis, None)
            await call.ari.bridges.create_with_id(self._bridge, type="mixing", variables=call.marks("ears"))
            await call.ari.bridges.add_channel(self._bridge, channel=sorted(both))

    async def _put_away(self) -> bool:
        """Whether everything is gone."""
        channels, bridges = self._call.ari.channels, self._call.ari.bridges
        cause = str(int(Cause.NORMAL))
        try:
            async with asyncio.timeout(_PUT_AWAY_S):
                first = await asyncio.gather(
                    _gone(channels.hangup(self._media, reason_code=cause)),
                    _gone(channels.hangup(self._snoop, reason_code=cause)),
                )
                return await _gone(bridges.destroy(self._bridge)) and all(first)
        except TimeoutError:
            return False


async def _gone(request: Awaitable[None]) -> bool:
    try:
        await request
    except Gone:
        return True
    except AriError:
        return False
    return True
