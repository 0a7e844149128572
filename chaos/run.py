"""One run: start everything, call, strike, wait until it is quiet, look."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.blows import Striker, kinds_of, plan, unhealed
from chaos.crew import Crew, crew
from chaos.evidence import ledger_of, outbox_of, rows_of, settled
from chaos.phones import Dial
from chaos.receiver import Receiver, receiver
from chaos.records import CallSeen, Evidence, LegSeen
from chaos.seeding import BUYERS_HOST, CALLERS_HOST, Limits, limits_of, number_of, seed
from chaos.system import System, running
from dcx_ari.store.db import open_database
from dcx_asterisk.fetch import ensure
from dcx_asterisk.ports import free_ports
from dcx_asterisk.servers import Postgres, Redis

SETTLED_S = 90.0
_PORTS_OF_PHONES = 50
_FIRST_BLOW_S = 3.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` calls a second; `at`: the instants of the blows (seconds from the first call), else drawn. `keep`: a new
    folder for home and logs, which then stay.
    """

    seed: int = 1
    calls: int = 500
    kills: int = 25
    rate: float = 2.5
    talk_s: float = 6.0
    workers: int = 2
    database: str = "postgres"
    redis: bool = True
    only: Sequence[str] = ()
    at: Sequence[float] = ()
    keep: Path | None = None

    @property
    def lasts_s(self) -> float:
        return self.calls / self.rate

    @property
    def talking(self) -> int:
        """Calls at a time, at most: all take half as long again as they are meant to."""
        return min(self.calls, max(4, round(self.rate * (1.5 * self.talk_s + 4))))


@dataclass(frozen=True, slots=True)
class Scene:
    """All that runs."""

    system: System
    callers: Crew
    buyers: Crew
    webhooks: Receiver
    web: aiohttp.ClientSession


async def chaos(plan_: Plan, say: Say) -> Evidence:
    """Raises AsteriskError, TimeoutError where the system does not even start."""
    async with AsyncExitStack() as stack:
        folder = _folder(plan_, stack)
        scene = await stack.enter_async_context(_scene(plan_, folder, say))
        striker = Striker(scene.system, scene.web, plan_.seed)
        watching = asyncio.create_task(scene.system.watch(lambda at: _dropped(scene, at)), name="watch")
        try:
            await asyncio.gather(_calls(plan_, scene, say), _blows(plan_, striker, say))
            return await _evidence(plan_, scene, striker, say)
        finally:
            watching.cancel()
            await asyncio.wait([watching])


def _folder(plan_: Plan, stack: AsyncExitStack) -> Path:
    if plan_.keep:
        plan_.keep.mkdir(parents=True)
        return plan_.keep
    made = tempfile.TemporaryDirectory(prefix="dcx-chaos-", ignore_cleanup_errors=True)
    return Path(stack.enter_context(made))


def _dropped(scene: Scene, at: float) -> None:
    for each in (scene.callers, scene.buyers):
        each.dropped(at)


# -- the scene ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _scene(plan_: Plan, folder: Path, say: Say) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        api, sip, ari, ami, told = free_ports(5, spacing=2)
        callers, buyers = free_ports(2, "127.0.0.1", _PORTS_OF_PHONES)
        (rtp,) = free_ports(1, spacing=6 * plan_.talking + 60)
        postgres, redis = await _servers(plan_, folder, stack)
        home = folder / "home"
        home.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DCX_")},
            "DCX_HOME": str(home),
            "DCX_API_PORT": str(api),
            "DCX_SIP_PORT": str(sip),
            "DCX_ARI_PORT": str(ari),
            "DCX_AMI_PORT": str(ami),
            "DCX_RTP_PORTS": f"{rtp}-{rtp + 6 * plan_.talking + 50}",
            "DCX_WORKERS": str(plan_.workers),
            "DCX_WEBHOOK_ALLOW": "127.0.0.0/8",
            **({"DCX_DATABASE_URL": postgres.url} if postgres else {}),
            **({"DCX_REDIS_URL": redis.url} if redis else {}),
        }
        system = System(home, environment, postgres, redis)
        await seed(system.settings.database_url, buyers, _limits(plan_), f"http://127.0.0.1:{told}/chaos")
        webhooks = await stack.enter_async_context(receiver(told))
        web = await stack.enter_async_context(aiohttp.ClientSession())
        say(f"starting dcx up with {plan_.workers} workers on {plan_.database}")
        await stack.enter_async_context(running(system))
        crews = [
            await stack.enter_async_context(
                crew(side, host, port, switch=sip, seed=plan_.seed, talk_s=plan_.talk_s, log=folder / "phones.log")
            )
            for side, host, port in (("callers", CALLERS_HOST, callers), ("buyers", BUYERS_HOST, buyers))
        ]
        yield Scene(system, crews[0], crews[1], webhooks, web)


async def _servers(plan_: Plan, folder: Path, stack: AsyncExitStack) -> tuple[Postgres | None, Redis | None]:
    """Started, and stopped at the end."""
    if plan_.database == "sqlite" and not plan_.redis:
        return None, None
    tree = await asyncio.to_thread(ensure, "servers")
    postgres = redis = None
    if plan_.database == "postgres":
        postgres = await asyncio.to_thread(Postgres, folder / "postgres", tree, durable=True)
        stack.callback(postgres.stop, signal.SIGQUIT)
        await asyncio.to_thread(postgres.start)
    if plan_.redis:
        redis = Redis(folder / "redis", tree)
        stack.callback(redis.stop)
        await asyncio.to_thread(redis.start)
    return postgres, redis


def _limits(plan_: Plan) -> dict[int, Limits]:
    return limits_of(plan_.calls, plan_.talking)


# -- calls and blows ----------------------------------------------------------------------------------------


async def _calls(plan_: Plan, scene: Scene, say: Say) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(plan_.calls):
        await asyncio.sleep(max(0.0, began + n / plan_.rate - loop.time()))
        scene.callers.tell(Dial(n, number_of(n)))
        if n % max(1, plan_.calls // 10) == 0:
            say(f"{n} of {plan_.calls} calls placed, {len(scene.callers.seen)} over")
    say(f"{plan_.calls} calls placed")


async def _blows(plan_: Plan, striker: Striker, say: Say) -> None:
    kinds = kinds_of(plan_.only, postgres=plan_.database == "postgres", redis=plan_.redis)
    first, last = min(_FIRST_BLOW_S, plan_.lasts_s / 4), max(1.0, plan_.lasts_s + plan_.talk_s / 2)
    planned = plan(plan_.seed, kinds, plan_.kills, first, last)
    if plan_.at:
        planned = [(at, kind) for at, (_, kind) in zip(plan_.at, planned, strict=False)]
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def strike(kind: str) -> None:
        blow = await striker.strike(kind)
        say(f"{blow.kind} {blow.target}: healed after {blow.until - blow.at:.1f} s {blow.note}".rstrip())

    async with asyncio.TaskGroup() as group:
        for at, kind in planned:
            await asyncio.sleep(max(0.0, began + at - loop.time()))
            group.create_task(strike(kind))


# -- the end ------------------------------------------------------------------------------------------------


async def _evidence(plan_: Plan, scene: Scene, striker: Striker, say: Say) -> Evidence:
    say("waiting until all is quiet")
    system = scene.system
    for _ in range(round(SETTLED_S)):
        if not await scene.callers.open_calls() and not await scene.buyers.open_calls():
            break
        await asyncio.sleep(1)
    database = open_database(system.settings.database_url)
    try:
        left_over = await settled(database, scene.web, system, SETTLED_S)
        rows, outbox = await rows_of(database), await outbox_of(database)
    finally:
        await database.close()
    for each in (scene.callers, scene.buyers):
        await each.finish()
    lost = list(system.lost)
    status = await system.stop()
    ledger = await ledger_of(system)
    complaints = unhealed(striker.done) + system.ended
    if status:
        complaints.append(f"dcx up ended with status {status} when it was asked to end")
    if system.asterisk is not None:
        complaints.append("Asterisk was left running")
    return Evidence(
        seed=plan_.seed,
        placed=plan_.calls,
        calls=[each for each in scene.callers.seen if isinstance(each, CallSeen)],
        legs=[each for each in scene.buyers.seen if isinstance(each, LegSeen)],
        blows=striker.done,
        rows=rows,
        outbox=outbox,
        received=scene.webhooks.told,
        lost=lost,
        ledger=ledger,
        left_over=left_over,
        limits={buyer: (each.together, each.daily) for buyer, each in _limits(plan_).items()},
        complaints=complaints,
        late_ms=max(scene.callers.late_ms, scene.buyers.late_ms),
    )
