"""One reader of Asterisk's events; a registry of live calls; a task per call.

Delivery is by id: a caller's channel is looked up, everything else carries its call's id in its own
(`{call}.leg1`), so nothing needs registering and no event can come "too early".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from dcx_ari.ari import events as ev
from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Session, Transport
from dcx_ari.call.call import Call
from dcx_ari.call.delivery import resource_of
from dcx_ari.call.ids import call_of, new_call_id
from dcx_ari.call.inbound import parse_inbound
from dcx_ari.call.leg import Ended, Leg
from dcx_ari.call.ports import Inbound, Ports
from dcx_ari.call.runner import Flow, run_call
from dcx_ari.call.tasks import Spawner, cancel_and_wait
from dcx_ari.decide.causes import Cause

log = logging.getLogger(__name__)

_DIALLED_MS = 5_000  # a request for a channel takes no longer
_NEXT_ENGINE = "next"  # label of the dialplan, see asterisk/dcx_asterisk/config/extensions.conf

MakeCall = Callable[[str, Inbound, Ari, str, Ports], Call]
"""Makes the call object of a new call, from its id, what arrived, and where it lives."""


class Lifecycle(Protocol):
    """What the shell does around calls. All of it is idempotent."""

    async def connected(self, exchange: Exchange) -> None:
        """The event socket is (again) open and buffering; called before the first event is delivered."""
        ...

    async def closed(self, call: Call) -> None:
        """A call's channels are gone: close the row, settle what is held."""
        ...


class Exchange:
    """The calls of one worker. `app` is its Stasis application, a stable slot name such as `dcx-0`."""

    def __init__(
        self, transport: Transport, app: str, ports: Ports, flow: Flow, lifecycle: Lifecycle, make: MakeCall = Call
    ) -> None:
        self.ari = Ari(transport)
        self.app = app
        self.ports = ports
        self.calls: dict[str, Call] = {}
        self.listening = asyncio.Event()
        self.events_seen = 0
        self.asterisk_started = ""  # when the Asterisk that we are connected to began, in its own words
        self._transport = transport
        self._flow = flow
        self._lifecycle = lifecycle
        self._make = make
        self._callers: dict[str, Call] = {}  # by Asterisk's id of the caller's channel
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._spawner = Spawner()
        self._taking = True

    @property
    def taking(self) -> bool:
        """Whether new calls are taken."""
        return self._taking

    @property
    def connected(self) -> bool:
        """Whether events of Asterisk arrive and calls are taken."""
        return self.listening.is_set()

    async def run(self) -> None:
        """Serve for ever: reconcile after every (re)connect, then deliver events."""
        async for session in self._transport.sessions():
            try:
                await self._serve(session)
            except AriError as error:
                log.warning("lost Asterisk while reconciling: %s", error)
            finally:
                self.listening.clear()

    async def _serve(self, session: Session) -> None:
        await self._reconcile()
        await self._lifecycle.connected(self)
        self.listening.set()
        async for raw in session:
            event = decode_event(raw)
            if event is not None:
                self.events_seen += 1
                self._deliver(event)

    def drain(self) -> None:
        """Take no new calls: the dialplan finds another engine for them."""
        self._taking = False

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, wait `grace_s` seconds for the live ones, then end them."""
        self.drain()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace_s)
        await cancel_and_wait(*self._tasks.values())
        await self._spawner.finish(1.0)

    # -- events ---------------------------------------------------------------------------------------------

    def _deliver(self, event: ev.Event) -> None:
        resource_id = resource_of(event)
        if resource_id is None:
            return
        call = self._callers.get(resource_id) or self.calls.get(call_of(resource_id))
        if call is not None:
            call.on_event(event, resource_id)
        elif isinstance(event, ev.StasisStart):
            self._arrived(event)

    def _arrived(self, event: ev.StasisStart) -> None:
        inbound = parse_inbound(event)
        if inbound is None:  # a leg whose call is over: nobody would ever end it
            self._spawner.spawn(self._turn_away(event.channel.id), f"turn away {event.channel.id}")
        elif not self._taking:
            self._spawner.spawn(self._pass_on(event.channel.id), f"pass on {event.channel.id}")
        else:
            self.take(inbound)

    def take(self, inbound: Inbound) -> Call:
        """Begin a new call for a channel that waits in our application."""
        now = self.ports.now_ms()
        call = self._make(new_call_id(now), inbound, self.ari, self.app, self.ports)
        self.ports.journal.opened(call.id, inbound, call.started_at)
        self.adopt(call, self._flow)
        return call

    def adopt(self, call: Call, flow: Flow) -> None:
        """Run `flow` for a call: the one door for new calls and for those found after a crash."""
        self.calls[call.id] = call
        self._callers[call.caller.id] = call
        task = self._spawner.spawn(run_call(call, flow, self._close), f"call {call.id}")
        self._tasks[call.id] = task
        task.add_done_callback(lambda _: self._forget(call))

    def owns(self, channel_id: str) -> bool:
        """Whether the channel is the caller of a live call."""
        return channel_id in self._callers

    async def _close(self, call: Call) -> None:
        await self._lifecycle.closed(call)

    def _forget(self, call: Call) -> None:
        self.calls.pop(call.id, None)
        self._callers.pop(call.caller.id, None)
        self._tasks.pop(call.id, None)

    async def _turn_away(self, channel_id: str) -> None:
        try:
            await self.ari.channels.hangup(channel_id, reason_code=str(Cause.CONGESTION))
        except Gone:
            pass
        except AriError as error:
            log.warning("could not turn a channel away: %s", error)

    async def _pass_on(self, channel_id: str) -> None:
        """Back to the dialplan, to where it looks for the next engine."""
        try:
            await self.ari.channels.continue_in_dialplan(channel_id, label=_NEXT_ENGINE)
        except Gone:
            pass
        except AriError as error:
            log.warning("could not pass a call on: %s", error)

    # -- after a (re)connect --------------------------------------------------------------------------------

    async def _reconcile(self) -> None:
        info = await self.ari.asterisk.get_info(only="status")
        before, self.asterisk_started = self.asterisk_started, info.status.startup_time if info.status else ""
        await self.catch_up(restarted=before != self.asterisk_started)

    async def catch_up(self, *, restarted: bool = False) -> None:
        """Bring the legs of live calls up to what Asterisk shows: what happened while their events did not reach us.

        Only what was there before we ask can be missed: calls go on meanwhile, and dial.
        """
        began = self.ports.now_ms()
        there = [
            (call, leg)
            for call in self.calls.values()
            for leg in (call.caller, *call.legs.values())
            if leg.live and (leg is call.caller or _existed(leg, began))
        ]
        if not there:
            return
        present = {channel.id: channel for channel in await self.ari.channels.list()}
        now = self.ports.now_ms()
        for call, leg in there:
            channel = present.get(leg.id)
            if channel is not None:
                leg.seen(channel, now)
            elif leg.live:
                leg.end(Ended(Cause.NORMAL, None), now)
                if leg is call.caller and restarted:
                    call.failure_reason = "node_lost"
            call.nudge()


def _existed(leg: Leg, now_ms: int) -> bool:
    """Whether Asterisk surely has, or had, a channel for the leg: it was heard of, or asked for long ago."""
    heard_of = leg.in_stasis or leg.ringing_at is not None or leg.answered_at is not None
    return heard_of or (leg.dialled_at is not None and now_ms - leg.dialled_at > _DIALLED_MS)
