"""A day of calls for an exchange: who rings, what they do, and what happens around them."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.media.tones import sine, write_wav
from dcx_ari.services import webhooks
from dcx_ari.testing.client import FOREVER_S
from dcx_ari.testing.far_end import Answers, Busy, Congestion, FarEnd, Line, NoAnswer, Rejects
from dcx_ari.testing.parties import Caller
from tests.sim.exchange import NUMBER, Exchange

ROOF, MENU, TEAM = "+18005550201", "+18005550202", "+18005550203"
FLOW = {
    "start": "main",
    "nodes": {
        "main": {
            "type": "menu",
            "say": "Press one or two.",
            "choices": {"1": "sell", "2": "vm"},
            "tries": 2,
            "timeout_s": 4,
            "on": {"any": "bye"},
        },
        "sell": {"type": "route"},
        "vm": {"type": "voicemail", "say": "Speak.", "silence_s": 4, "max_s": 30},
        "bye": {"type": "hangup", "say": "Bye."},
    },
}
CURVE = (6, 7, 8, 8, 7, 7, 6, 6, 6, 6, 5, 4, 3, 2, 2, 1, 1, 1, 1, 2, 3, 4, 5, 6)
"""How many hundredths of the day's calls come in each hour, from ten in the morning on."""


class Tapes:
    """A monitor that writes a tenth of a second of sound to each side."""

    async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str:
        for side in (receive, transmit):
            write_wav(Path(side), sine(0, 0.1))
        return "m1"

    async def stop(self, channel: str, monitor: str) -> None: ...

    async def mute(self, channel: str, on: bool) -> None: ...


@dataclass(frozen=True)
class Moody:
    """A phone that does one of these each time it is rung."""

    draw: random.Random
    moods: Sequence[Callable[[random.Random], FarEnd]]
    dialable: bool = field(default=True, init=False)

    def begin(self, line: Line) -> None:
        self.draw.choice(self.moods)(self.draw).begin(line)


def talks(draw: random.Random) -> FarEnd:
    return Answers(draw.uniform(1, 8), hangs_up_after=draw.uniform(15, 240))


def talks_briefly(draw: random.Random) -> FarEnd:
    return Answers(1.0, hangs_up_after=draw.uniform(0.5, 4))


def accepts(draw: random.Random) -> FarEnd:
    return Answers(draw.uniform(1, 4), hangs_up_after=draw.uniform(20, 90), presses=[(1.0, "1")])


def is_busy(_: random.Random) -> FarEnd:
    return Busy()


def refuses(_: random.Random) -> FarEnd:
    return Rejects(1.0)


def is_away(_: random.Random) -> FarEnd:
    return NoAnswer()


def fails(_: random.Random) -> FarEnd:
    return Congestion()


class Day:
    """Everything is drawn from `draw`.

    kinds     how many calls of each kind were placed
    channels  those of the callers whom the engine took
    told      the calls of whose end a webhook told
    """

    def __init__(self, x: Exchange, draw: random.Random) -> None:
        self.x = x
        self.kinds: Counter[str] = Counter()
        self.told: list[str] = []
        self.channels: list[str] = []
        self._draw = draw
        self._changes = 0

    # -- the set-up -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Campaigns, buyers, a receiver of webhooks and whoever writes Asterisk's recordings are there."""
        await self._prepare()
        runner = await self._receiver()
        spooling = asyncio.create_task(self._spool(), name="spool")
        try:
            yield
        finally:
            await cancel_and_wait(spooling)
            await runner.cleanup()

    async def _prepare(self) -> None:
        x, draw = self.x, self._draw
        x.engine.recorder._monitor = Tapes()
        vm = [{"on": "any", "kind": "voicemail", "value": "Nobody is free. Leave word."}]
        await x.change("campaigns", x.campaign_id, fallbacks=vm, recover_below_s=10)
        for tier, (name, moods) in enumerate(
            {
                "Acme": (talks, talks, talks_briefly, is_busy),
                "Best": (talks, is_away, refuses, is_busy),
                "Cold": (talks_briefly, fails, is_away, is_busy),
            }.items()
        ):
            await x.buyer(name, Moody(draw, moods), tier=tier, concurrency_limit=4, hourly_cap=60, ring_timeout_s=10)
        roof = await self._campaign("Roof", ROOF, record=True, recover_below_s=10)
        await self._attached(roof, "Hasty", Moody(draw, (talks_briefly,)), tier=0)
        await self._attached(roof, "Good", Moody(draw, (talks,)), tier=1)
        flow = await x.add("flows", name="desk", document=FLOW, status="published")
        menu = await self._campaign("Desk", MENU, flow_id=flow, record=False)
        await self._attached(menu, "Menu", Moody(draw, (talks, is_busy)))
        team = await self._campaign("Team", TEAM, record=False)
        await self._team(team)

        # As many connections and threads as will ever be kept.
        await asyncio.gather(*(x.query("SELECT 1") for _ in range(20)))
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.02) for _ in range(40)))

    async def _campaign(self, name: str, number: str, **values: Any) -> int:
        campaign = await self.x.add("campaigns", name=name, **values)
        await self.x.add("numbers", phone_number=number, campaign_id=campaign)
        return campaign

    async def _phone(self, script: FarEnd) -> str:
        number = f"+1555000{len(self.x.fake.core.phones) + 1:04d}"
        self.x.fake.phone(f"PJSIP/{number}@trunk-{self.x.trunk_id}", script)
        return number

    async def _attached(self, campaign: int, name: str, script: FarEnd, **values: Any) -> None:
        number = await self._phone(script)
        buyer = await self.x.add("buyers", name=name, endpoint_value=number, revenue_cents=900, **values)
        await self.x.add("campaign-buyers", campaign_id=campaign, buyer_id=buyer)

    async def _team(self, campaign: int) -> None:
        group = await self.x.add("groups", name="Ring all", routing_strategy="simultaneous")
        for name, moods in (("Ann", (accepts, is_away)), ("Bob", (accepts, refuses)), ("Cid", (is_away, is_busy))):
            number = await self._phone(Moody(self._draw, moods))
            values = {"endpoint_value": number, "accept_digit": "1", "revenue_cents": 500, "ring_timeout_s": 8}
            member = await self.x.add("buyers", name=name, **values)
            await self.x.add("group-members", group_id=group, buyer_id=member)
        await self.x.add("campaign-buyers", campaign_id=campaign, group_id=group)

    async def _receiver(self) -> web.AppRunner:
        """A receiver of webhooks, told of the end of every call; it refuses one in fifty the first time."""

        asked = itertools.count()

        async def take(request: web.Request) -> web.Response:
            refused = next(asked) % 50 == 20
            if not refused:
                self.told.append((await request.json())["data"]["call_id"])
            answer = web.Response(status=503 if refused else 204)
            answer.force_close()  # one that is kept would be, by the real clock, for all of the day
            return answer

        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = webhooks.SafeUrl(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        async with self.x.engine.database.write() as session:
            await webhooks.create(session, url, ["call.completed"])
        await self.x.engine.configuration.load_receivers()
        return runner

    # -- an hour --------------------------------------------------------------------------------------------

    async def hour(self, number: int, calls: int) -> None:
        """`calls` within fifty minutes, and everything that goes on beside them; returns when the hour is over."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for index in range(calls):
                kind = KINDS[(index if number == 0 else self._draw.randrange(len(KINDS))) % len(KINDS)]
                self._later(group, self._draw.uniform(0, 3000), self._call(kind), f"caller {kind}")
            for minute in range(4, 50, 12):
                self._later(group, 60.0 * minute, self._change(), "change")
                self._later(group, 60.0 * minute + 20, self._look(), "look")
            self._later(group, self._draw.uniform(300, 2700), self._fault(number), "fault")
            self._later(group, 120.0, self._watch(30.0), "watch")
        await self.x.over()
        await self.x.change("buyers", "Best", status="ACTIVE", weight=50 + number)  # so that it is read anew
        await asyncio.sleep(began + 3600.0 - asyncio.get_running_loop().time())
        self._forget()

    def _later(self, group: asyncio.TaskGroup, seconds: float, work: Coroutine[Any, Any, None], name: str) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await work

        group.create_task(later(), name=name)

    def _forget(self) -> None:
        """What the fake keeps for tests to look back at is not the engine's."""
        fake = self.x.fake
        self.channels += [caller.channel.id for caller in fake.callers if not caller.turned_away]
        for kept in (fake.requests, fake.core.events, fake.callers, fake.core.stored):
            kept.clear()
        for phone in fake.core.phones.values():
            phone.calls.clear()

    # -- people ---------------------------------------------------------------------------------------------

    async def _call(self, kind: str) -> None:
        self.kinds[kind] += 1
        number, act = KIND[kind]
        here = f"+1{self._draw.choice(('212', '310', '512'))}555{self._draw.randrange(10_000):04d}"
        caller = self.x.call(number, caller="anonymous" if kind == "odd" else here)
        await act(self, caller)
        await caller.until_ended(timeout_s=1800)

    async def talk(self, caller: Caller) -> None:
        await self._message(caller)

    async def give_up(self, caller: Caller) -> None:
        caller.hang_up(after=self._draw.uniform(0.05, 6))

    async def press_one(self, caller: Caller) -> None:
        await self._menu(caller, "1")

    async def press_two(self, caller: Caller) -> None:
        await self._menu(caller, "2")
        await self._message(caller)

    async def press_wrong(self, caller: Caller) -> None:
        await self._menu(caller, "9")

    async def leave_menu(self, caller: Caller) -> None:
        caller.hang_up(after=self._draw.uniform(0.5, 3.0))

    async def _menu(self, caller: Caller, digit: str) -> None:
        caller.at(self._draw.uniform(1.5, 3.0), caller.digit, digit)

    async def _message(self, caller: Caller) -> None:
        """Whoever comes to a voicemail says something for a while."""
        core = self.x.fake.core

        def asked() -> bool:
            return not caller.in_call or any("Speak" in m or "Leave word" in m for m in caller.media)

        await core.until(asked, 1800)
        caller.hang_up(after=self._draw.uniform(1, 10))

    async def _spool(self) -> None:
        """For ever: write what Asterisk would have recorded."""
        core, folder = self.x.fake.core, self.x.engine.settings.home.parent / "recording"
        folder.mkdir(exist_ok=True)
        written: set[str] = set()

        def more() -> bool:
            return not core.recordings.keys() <= written

        while True:
            await core.until(more, FOREVER_S)
            for name in core.recordings.keys() - written:
                write_wav(folder / f"{name}.wav", SPEECH)
            written &= core.recordings.keys()
            written |= core.recordings.keys()

    # -- what happens around them ---------------------------------------------------------------------------

    async def _change(self) -> None:
        """The configuration is another one, by one of these in turn."""
        n = self._changes = self._changes + 1
        if n % 4 == 0:
            await self.x.change("buyers", "Acme", revenue_cents=1000 + n)
        elif n % 4 == 1:
            await self.x.change("buyers", "Best", status="INACTIVE" if n % 8 == 1 else "ACTIVE")
        elif n % 4 == 2:
            await self.x.change("campaigns", "Roof", notes=f"change {n}")
        else:
            nodes = {**FLOW["nodes"], "bye": {"type": "hangup", "say": f"Bye {n}."}}  # type: ignore[dict-item]
            await self.x.change("flows", "desk", document={**FLOW, "nodes": nodes})

    async def _look(self) -> None:
        """Somebody asks the API."""
        port = self.x.engine.settings.api_port
        async with aiohttp.ClientSession() as http:
            for path in ("/ready", "/metrics"):
                async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert await answer.read()

    async def _watch(self, seconds: float) -> None:
        """Somebody looks at the live view for a while."""
        async with self.x.engine.live.watch() as messages:
            try:
                async with asyncio.timeout(seconds):
                    async for _ in messages:
                        pass
            except TimeoutError:
                return

    async def _fault(self, hour: int) -> None:
        """The connection is lost in every hour; events stall or Asterisk begins anew in some."""
        fake = self.x.fake
        fake.drop_connection()
        await asyncio.sleep(60)
        if hour % 4 == 0:
            fake.stall()
            await asyncio.sleep(2)
            fake.resume()
        if hour % 6 == 0:
            with suppress(TimeoutError):
                await fake.core.until(lambda: bool(fake.core.bridges), 600.0)
            fake.restart()


Act = Callable[[Day, Caller], Coroutine[Any, Any, None]]
SPEECH = sine(0, 0.3) + sine(900, 1.0, amplitude=1000) + sine(0, 0.3)
KIND: dict[str, tuple[str, Act]] = {
    "sold": (NUMBER, Day.talk),
    "recorded": (ROOF, Day.talk),
    "menu sold": (MENU, Day.press_one),
    "team": (TEAM, Day.talk),
    "gives up": (NUMBER, Day.give_up),
    "message": (MENU, Day.press_two),
    "unknown number": ("+18005550000", Day.talk),
    "leaves menu": (MENU, Day.leave_menu),
    "wrong key": (MENU, Day.press_wrong),
    "team given up": (TEAM, Day.give_up),
    "odd": (NUMBER, Day.talk),
}
KINDS = tuple(KIND)
