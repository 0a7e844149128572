"""The only place that wires things together: settings and an Asterisk in, a running engine out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dcx_ari.access import AsteriskAccess
from dcx_ari.api import explain, live, lookup, postbacks, prompts, recording, test_calls
from dcx_ari.api.app import AddRoutes, make_app
from dcx_ari.api.routes import ROUTES, Route
from dcx_ari.ari.ami import AmiClient
from dcx_ari.ari.client import QUIET, AriClient
from dcx_ari.ari.errors import AriError
from dcx_ari.ari.media import MediaSockets
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from dcx_ari.ari.trunks import TrunkObjects
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.ports import Absent, Ears, Ports, Speech, Web
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.call.test_call import place_test_call
from dcx_ari.callbacks import StoreCallbacks
from dcx_ari.clock import now_ms
from dcx_ari.configuration import Configuration
from dcx_ari.decide.periods import zone_of
from dcx_ari.departure import Left, depart, until_stopped
from dcx_ari.desk import StoreDesk
from dcx_ari.failure import EngineFailed
from dcx_ari.flows.inbound import inbound
from dcx_ari.front import Front
from dcx_ari.integrations.lookup import lookup_of
from dcx_ari.integrations.mail import mail_sender
from dcx_ari.integrations.questions import Questions
from dcx_ari.integrations.transcribe import transcriber_of
from dcx_ari.jobs import Jobs, Standing
from dcx_ari.lifecycle import StoreLifecycle
from dcx_ari.media.listening import MediaEars
from dcx_ari.media.recording import Monitor, StereoRecorder
from dcx_ari.media.speech import FliteSpeech
from dcx_ari.metrics import Metrics
from dcx_ari.neighbours import Neighbours
from dcx_ari.notify import ALIVE, notify
from dcx_ari.orders import Orders
from dcx_ari.outbox import Deliverer
from dcx_ari.services.postbacks import receive
from dcx_ari.services.test_call import NotPlaced, Trial, decide
from dcx_ari.settings import Settings
from dcx_ari.store.cities import load_cities
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.history import earnings
from dcx_ari.store.journal import Journal
from dcx_ari.store.ledger import Ledger, open_ledger
from dcx_ari.store.ledger.rows import WriteRows
from dcx_ari.store.migrate import migrate
from dcx_ari.store.news import CallNews
from dcx_ari.store.targets import Targets, networks
from dcx_ari.store.workers import others_up
from dcx_ari.timetable import Parts, jobs_of
from dcx_ari.together import Together, bus_of
from dcx_ari.velocity import Velocity
from dcx_ari.voicemails import PromptFiles, VoicemailBox, speaker

if TYPE_CHECKING:
    from dcx_ari.bus.redis import RedisBus

log = logging.getLogger(__name__)

_ASK_S = 2.0
# Events that no part of the engine looks at: each is built, sent and decoded several times a call.
_UNREAD = ("BridgeCreated", "BridgeDestroyed", "ChannelEnteredBridge", "ChannelLeftBridge", "PlaybackStarted")
_RECORDINGS_S = 10.0
_HOUSEKEEPING_S = 30.0
_ALIVE_S = 1.0
_SEEN_LATELY_MS = 3_000
_EARNINGS_DAYS = 30
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Outside:
    """What an engine talks to besides its database, real or fake. `monitor` writes recordings into `scratch`."""

    transport: Transport
    monitor: Monitor
    speech: Speech
    scratch: Path
    web: Web = Absent()  # noqa: RUF009  it has no state
    ears: Ears = Absent()  # noqa: RUF009


class Engine:
    """One worker: the exchange, its store, and the API in front of it. Made by `engine`.

    `jobs` False: leave the work that one process does for all to others.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        ledger: Ledger,
        outside: Outside,
        clock: Callable[[], int] = now_ms,
        *,
        jobs: bool = True,
        redis: RedisBus | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.ledger = ledger
        self.metrics = Metrics()
        self.configuration = Configuration(database, settings.timezone)
        self.journal = Journal(
            lambda statements: ledger.submit(WriteRows(statements)),
            settings.app_name,
            zone_of(settings.timezone),
            CallNews(self.configuration.receivers, clock, database.told.set),
            load_cities(),
        )
        self.recorder = StereoRecorder(outside.monitor, self.journal, outside.scratch, settings.home)
        self.desk = StoreDesk(self.configuration, ledger, database, self.journal, clock)
        transcriber = transcriber_of(settings.transcriber, settings.transcriber_key)
        spool = outside.scratch.with_name("recording")  # beside what MixMonitor writes
        self.voicemails = VoicemailBox(
            database,
            self.journal,
            settings.home,
            spool,
            clock,
            settings.app_name,
            transcribes=transcriber is not None,
        )
        self._speak = speaker(outside.speech)
        self.ari = Ari(outside.transport)
        self.trunks = TrunkObjects(self.ari)
        self.lifecycle = StoreLifecycle(
            self.configuration, database, ledger, self.journal, self.desk, self.trunks, self.metrics, clock
        )
        self.velocity = Velocity(database, lambda: self.configuration.snapshot.version, self.journal.durable, clock)
        self.exchange = Exchange(
            outside.transport,
            settings.app_name,
            Ports(
                self.journal,
                outside.speech,
                self.recorder,
                clock,
                self.desk,
                outside.web,
                PromptFiles(database, settings.home),
                StoreCallbacks(database, self.journal, clock),
                self.voicemails,
                outside.ears,
            ),
            self.velocity.around(inbound(self.configuration.document, self.configuration.fresh)),
            self.lifecycle,
        )
        self._now_ms = clock
        live_calls, snapshot = self.exchange.calls, self.desk.snapshot
        self.together = Together(settings, database, live_calls, snapshot, self.recorder, self.metrics, clock, redis)
        self.live = self.together.live
        self.pause_recording = self.together.pausing.pause
        self.journal.watch = self.live.own.touched
        parts = Parts(settings, database, ledger, self.desk.snapshot, clock, transcriber, self.recorder)
        deliverer = Deliverer(
            database,
            Targets(networks(settings.webhook_allow)),
            mail_sender(settings.smtp_url, settings.mail_from, settings.home),
            clock,
            attempts=self.metrics.outbox,
        )
        standing = [Standing("deliveries", deliverer.run)]
        self.jobs = Jobs(database, settings.app_name, jobs_of(parts), standing, clock=clock)
        self._with_jobs = jobs
        self._neighbours = Neighbours(self.exchange, self.lifecycle, database, settings.home, clock)
        self._transport = outside.transport
        self.front = Front(settings)
        exchange = self.exchange
        self.metrics.watch(lambda: len(exchange.calls), lambda: exchange.connected, lambda: exchange.events_seen)
        self.configuration.on_change(self.push_trunks)

    async def not_ready(self) -> str | None:
        """None when a call can be taken, else why not."""
        if not self.exchange.taking:
            return "draining: no new calls are taken"
        if not self.exchange.connected:
            return "Asterisk: not connected"
        try:
            async with asyncio.timeout(_ASK_S):
                await self.ari.applications.get(self.settings.app_name)
        except TimeoutError:
            return f"Asterisk: connected, but did not answer within {_ASK_S:g} s"
        except AriError as error:
            return f"Asterisk: {error}"
        try:
            async with asyncio.timeout(_ASK_S):
                await self.database.ping()
        except TimeoutError:
            return f"database: did not answer within {_ASK_S:g} s"
        except StoreError as error:
            return f"database: {error}"
        return None

    async def until_ready(self, timeout_s: float = 30.0) -> None:
        """Raises `EngineFailed` with the reason if it takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.exchange.listening.wait()
                if not self.front.shared:
                    await self.front.serving.wait()
        except TimeoutError:
            what = "API: does not listen" if self.exchange.connected else "Asterisk: not connected"
            raise EngineFailed(f"{what} after {timeout_s:g} s") from None
        if (reason := await self.not_ready()) is not None:
            raise EngineFailed(reason)

    async def run(self, orders: Orders, *, grace_s: float = 0.0) -> Left:
        """Serve until told to stop. Then: take no new calls, leave the live ones to others, or wait `grace_s` seconds
        for them and end the rest; see `departure`. Write everything. When a part stops by itself: raises `EngineFailed`
        or, where there are live calls, leaves them alone as if we had been killed.

        Where calls are handed over, their tasks still stand when this returns: the process has to end at once.
        """
        left = Left()
        serving = [asyncio.create_task(work, name=name) for name, work in self._parts()]
        stopped = asyncio.create_task(orders.stop.wait(), name="stop")
        try:
            await until_stopped(stopped, serving)
            leaving = asyncio.create_task(depart(self.exchange, self._others, grace_s, orders))
            try:
                await until_stopped(leaving, serving)
                left = leaving.result()
            finally:
                await cancel_and_wait(leaving)
        except EngineFailed as error:
            if not (self.exchange.calls and self.exchange.connected):
                raise
            left = Left(len(self.exchange.calls), leave_alone=True, failed=str(error))
        finally:
            if left.leave_alone:
                await self._hand_over(stopped, *serving)
            else:
                await self._end(stopped, *serving)
        return left

    async def _end(self, *tasks: asyncio.Task[Any]) -> None:
        self.lifecycle.stop()
        await self.exchange.stop(0.0)
        await self.recorder.drain(_RECORDINGS_S)
        await self.voicemails.drain(_RECORDINGS_S)
        await cancel_and_wait(*tasks)
        self.lifecycle.alive(self.exchange, "gone")
        await self.journal.close()

    async def _hand_over(self, *tasks: asyncio.Task[Any]) -> None:
        """Everything of ours is finished; the calls themselves are not touched."""
        await self.recorder.drain(_RECORDINGS_S)
        await self.voicemails.drain(_RECORDINGS_S)
        await cancel_and_wait(*(task for task in tasks if task.get_name() != "exchange"))
        self.lifecycle.alive(self.exchange, "gone")
        try:
            await self.journal.durable()
        except StoreError as error:
            log.error("the last records of calls that go on could not be written: %s", error)

    async def _others(self) -> bool:
        """Whether another worker takes our calls when we go."""
        return bool(await others_up(self.database, self.settings.app_name, self._now_ms() - _SEEN_LATELY_MS))

    def _parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        yield "exchange", self.exchange.run()
        yield "API", self._serve_api()
        if isinstance(self._transport, AriClient):
            yield "connection", self._transport.watch()
        yield "configuration", self.configuration.watch()
        yield from self.together.parts()
        yield "housekeeping", self._keep_house()
        yield "velocity", self.velocity.run()
        yield "sign of life", self._live()
        yield "voicemail", self.voicemails.run()
        yield "neighbours", self._neighbours.run()
        if self._with_jobs:
            yield "jobs", self.jobs.run()

    async def _serve_api(self) -> None:
        settings = self.settings
        app = make_app(
            self.database,
            readiness=self.not_ready,
            registry=self.metrics.registry,
            scrape=self.together.scrape.text,
            more=self._more_routes(),
            zone=settings.timezone,
            home=settings.home,
            proxies=settings.proxies,
            base_url=settings.public_base,
            targets=Targets(networks(settings.webhook_allow)),
        )
        await self.front.run(app)

    def _more_routes(self) -> Iterator[AddRoutes]:
        """Routes that need more of the engine than its database."""
        database, ledger, zone = self.database, self.ledger, self.settings.timezone
        yield explain.add_routes
        yield lookup.routes(lookup_of(self.settings.lookup, self.settings.lookup_key))
        yield live.routes(lambda: self.live)
        yield postbacks.routes(
            lambda name, signature, body: receive(
                database, ledger, name, signature, body, self._now_ms(), company_zone=zone
            )
        )
        yield recording.routes(self.pause_recording)
        yield prompts.routes(self._speak)
        yield test_calls.routes(
            self.place_test_call, lambda asked: decide(database, ledger, zone, self._now_ms(), asked), zone
        )

    async def place_test_call(self, trial: Trial) -> str:
        """Have Asterisk dial one of our numbers, marked as a test; the call's id. Raises NotPlaced."""
        if not self.exchange.connected:
            raise NotPlaced("not connected: see dcx doctor")
        try:
            call_id = await place_test_call(self.exchange, trial.number, trial.caller, trial.digits, trial.seconds)
        except AriError as error:
            raise NotPlaced(str(error)) from None
        if call_id is None:
            raise NotPlaced(
                "the call did not come back to the engine: is the dialplan of this Asterisk the one of DCX?"
            )
        await self.journal.durable()  # who is told of the call may look at it
        return call_id

    async def push_trunks(self) -> None:
        if self.exchange.connected:
            for problem in await self.trunks.sync(self.configuration.trunks):
                log.error("%s", problem)

    async def _live(self) -> None:
        """Whoever takes over from us has to know until when we saw our calls."""
        while True:
            await asyncio.sleep(_ALIVE_S)
            notify(ALIVE)
            if self.exchange.connected:
                self.lifecycle.alive(self.exchange, "up" if self.exchange.taking else "draining")

    async def _keep_house(self) -> None:
        """What is due now and then; a database that is away is waited for."""
        while True:
            try:
                await self.ledger.release_expired()
                await self.configuration.load_receivers()
                if any(campaign.strategy == "epc" for campaign in self.configuration.snapshot.campaigns.values()):
                    since = self._now_ms() - _EARNINGS_DAYS * _DAY_MS
                    self.desk.earnings = await earnings(self.database, since)
            except StoreError as error:
                log.warning("housekeeping: %s", error)
            await asyncio.sleep(_HOUSEKEEPING_S)


def api_routes() -> Collection[Route]:
    """Every route that an engine serves, for documents about them; nothing behind them can be asked."""
    nothing: Any = SimpleNamespace(
        **dict.fromkeys(("database", "ledger", "live", "pause_recording", "place_test_call", "_now_ms", "_speak")),
        settings=Settings(),
    )
    return make_app(nothing, more=Engine._more_routes(nothing))[ROUTES].values()


@asynccontextmanager
async def engine(settings: Settings, access: AsteriskAccess) -> AsyncIterator[Engine]:
    """An engine on a migrated database, not yet running; everything it opened is closed at the end."""
    await migrate(settings.database_url)
    async with AsyncExitStack() as stack:
        database = replace(open_database(settings.database_url), info={"audible": access.audible})
        stack.push_async_callback(database.close)
        ledger = open_ledger(settings.database_url, worker=settings.app_name)
        stack.push_async_callback(ledger.close)
        client = AriClient(
            access.ari_url, access.ari_user, access.ari_password, settings.app_name, quiet=(*QUIET, *_UNREAD)
        )
        stack.push_async_callback(client.close)
        ami = AmiClient(access.ami_host, access.ami_port, access.ami_user, access.ami_secret)
        stack.push_async_callback(ami.close)
        speech = FliteSpeech(access.speech, settings.home / "speech")
        web = await stack.enter_async_context(Questions(Targets(networks(settings.webhook_allow))))
        ears = await stack.enter_async_context(MediaEars(MediaSockets(access.ari_url).open))
        outside = Outside(client, ami, speech, access.monitor, web, ears)
        made = Engine(settings, database, ledger, outside, redis=await bus_of(settings, database))
        stack.callback(made.configuration.close)
        await made.configuration.load()
        yield made
