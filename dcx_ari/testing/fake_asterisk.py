"""A fake Asterisk in memory: the `Transport` that tests of flows run on.

It behaves as ARI of Asterisk 22.10.1 does, quirks included; tests/contract runs one suite on it and on the
real one. Far ends are people with scripts, and everything that anybody heard is written down::

    async def test_the_buyer_answers() -> None:
        fake = FakeAsterisk(app="dcx-0")
        buyer = fake.phone("PJSIP/+15550100@trunk", Answers(after=2.0))
        engine = asyncio.create_task(run_the_engine(fake))
        caller = fake.call("+18005550199", caller="+12125550123")
        await caller.hears("sound:menu")
        await caller.press("1")
        await caller.hears(buyer.endpoint)
        caller.hang_up(after=30)
        await caller.until_ended()
        assert caller.talked_with(buyer.call) == 30
        fake.assert_clean()

Meant for `virtual_time`, but any loop will do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from fnmatch import fnmatchcase

from dcx_ari.ari.transport import Request
from dcx_ari.testing.client import Asked, FakeClient, Fault
from dcx_ari.testing.core import Core
from dcx_ari.testing.far_end import FarEnd, Phone
from dcx_ari.testing.inbound import dialplan, inbound_channel, stasis_args
from dcx_ari.testing.parties import Caller, Party
from dcx_ari.testing.virtual_time import VirtualClock


class FakeAsterisk:
    """The exchange, and at once the `Transport` of one application; `client(name)` gives further ones.

    latency_s        seconds for a request, and again for its answer
    event_latency_s  seconds for an event
    setup_s          seconds from creating a leg to its StasisStart: a `/dial` in between is refused
    timeout_s        seconds after which a client gives up on an answer
    """

    def __init__(
        self,
        app: str = "dcx-0",
        *,
        clock: VirtualClock | None = None,
        latency_s: float = 0.0,
        event_latency_s: float = 0.0,
        setup_s: float = 0.001,
        timeout_s: float = 10.0,
    ) -> None:
        self.core = Core(clock or VirtualClock(), setup_s=setup_s, event_latency_s=event_latency_s)
        self.latency_s = latency_s
        self.timeout_s = timeout_s
        self.requests: list[Asked] = []
        self.faults: list[Fault] = []
        self.up = True
        self.callers: list[Caller] = []
        self._clients: list[FakeClient] = []
        self._default = self.client(app)

    # Transport

    async def request(self, request: Request) -> bytes:
        """See `Transport.request`."""
        return await self._default.request(request)

    def sessions(self) -> FakeClient:
        """See `Transport.sessions`."""
        return self._default.sessions()

    async def close(self) -> None:
        """Close the default client."""
        await self._default.close()

    def client(self, app: str) -> FakeClient:
        """A `Transport` of its own: another worker, under another application's name."""
        client = FakeClient(self, app)
        self._clients.append(client)
        return client

    # people

    def phone(self, endpoint: str, *scripts: FarEnd) -> Phone:
        """Somebody behind an endpoint (`PJSIP/+15550100@trunk`, or a pattern: `PJSIP/*@trunk`).

        Each call takes the next script, the last one stays. Endpoints without a phone are not diallable.
        """
        if not scripts:
            raise ValueError("a phone needs at least one script")
        phone = Phone(endpoint, scripts)
        self.core.phones[endpoint] = phone
        return phone

    def call(
        self,
        dialled: str = "+18005550199",
        *,
        caller: str = "+12125550123",
        caller_name: str = "",
        headers: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
        app: str = "",
        trunk: str = "trunk",
        retry_s: float = 20.0,
        name: str = "",
    ) -> Caller:
        """Somebody calls in from a trunk, and DCX's dialplan hands the call to the application.

        `headers` are those of the INVITE. `args` are the arguments of Stasis(); by default those of the
        dialplan, see `stasis_args`. Where no application takes the call, the caller hears ringing while the
        dialplan tries again for `retry_s` seconds, then its fallback: `turned_away`. `name` is what
        others hear when they hear this person; by default the number.
        """
        arguments = tuple(args) if args is not None else stasis_args(dialled, headers or {})
        channel = inbound_channel(self.core, dialled, (caller_name, caller), trunk, headers or {})
        person = Caller(channel, name or caller or "anonymous", dialled)
        channel.party = person
        self.callers.append(person)
        deadline = self.core.now + retry_s
        self.core.later(0, dialplan, person, app or self._default.app, arguments, deadline)
        return person

    # media

    def sound(self, uri: str, seconds: float) -> None:
        """How long a media URI (`sound:greeting`) plays; 1 s if nobody says."""
        self.core.media.add(uri, seconds)

    def no_sound(self, uri: str) -> None:
        """There is no such file: its playback fails."""
        self.core.media.missing(uri)

    def media(self, connection: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Connect to the socket of a WebSocket channel, as `MediaSockets.open` does."""
        return self.core.media_sockets.connect(connection)

    # faults

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int = 500,
        message: str = "Failed",
        times: int = 1,
        runs: bool = False,
    ) -> None:
        """Refuse the next `times` requests whose path fits a pattern (`channels/*/dial`).

        `status` 0: no answer, the client gives up after its own bound; `runs`: the request is carried out.
        """
        self.faults.append(Fault(method, path, status, message, times, runs))

    def drop_connection(self, app: str | None = None) -> None:
        """End the event connection: of one application, or all. Channels and bridges stay."""
        for application in self.core.applications.values():
            if application.session is not None and app in (None, application.name):
                application.session.end()
                application.session = None

    def stall(self, app: str | None = None) -> None:
        """Events stop arriving though the connection stays; `resume` delivers what was held."""
        for application in self.core.applications.values():
            if application.session is not None and app in (None, application.name):
                application.session.stall()

    def resume(self) -> None:
        for application in self.core.applications.values():
            if application.session is not None:
                application.session.resume()

    def stop(self) -> None:
        """Asterisk dies: channels, bridges, pushed objects and connections are gone, nobody is told."""
        self.up = False
        self.drop_connection()
        channels = list(self.core.channels.values())
        self.core.reset()
        for channel in channels:
            channel.vanish()
        for application in self.core.applications.values():
            application.forget()

    def start(self) -> None:
        """Asterisk is there again, with another startup time."""
        self.up = True
        self.core.startup_time()
        self.core.changed()

    def restart(self) -> None:
        self.stop()
        self.start()

    # what was left

    def leaks(self) -> list[str]:
        """What is still there: channels, bridges, playbacks and live recordings."""
        core = self.core
        return [
            *(f"channel {c.id} ({c.name}, {c.state})" for c in core.channels.values()),
            *(f"bridge {b.id} with {[m.id for m in b.members]}" for b in core.bridges.values()),
            *(f"playback {p.id} of {p.uri}" for p in core.playbacks.values()),
            *(f"recording {r.name}" for r in core.recordings.values()),
        ]

    def assert_clean(self) -> None:
        """`AssertionError` naming what is still there."""
        if leaks := self.leaks():
            raise AssertionError("left behind: " + "; ".join(leaks))

    async def settled(self, timeout_s: float = 60.0) -> None:
        """Wait until nothing is left; `AssertionError` naming it after `timeout_s`."""
        try:
            await self.core.until(lambda: not self.leaks(), timeout_s)
        except TimeoutError:
            self.assert_clean()

    # for looking back

    def asked(self, pattern: str) -> list[Asked]:
        """The requests so far that fit a pattern: `POST channels/*/dial`."""
        return [asked for asked in self.requests if fnmatchcase(asked.what, pattern)]

    def parties(self) -> list[Party]:
        """Everybody who was ever in a call, callers first."""
        return [*self.callers, *(party for phone in self.core.phones.values() for party in phone.calls)]
