"""Recording both parties apart: MixMonitor through the manager beside two recorded ARI snoops.

The same bridged calls with RTP stay up for the whole run; recording goes on and off on all of them, so that
each way is compared with the unrecorded seconds around it.
"""

import asyncio
import statistics
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.bed import Bed, bed
from bench.proc import cpu_ms, stat
from bench.sipp import Load, run_load
from bench.subjects import TRUNK, push_trunks
from bench.table import Row, Section, markdown_table, number, percentile, ratio
from dcx_ari.ari.ami import AmiClient
from dcx_ari.ari.client import AriClient
from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.events import Dial, RecordingFailed, RecordingStarted, StasisStart
from dcx_ari.ari.resources import Ari

APP = "bench-recording"
CALLER_HOST = "127.0.0.14"
NONE, MONITOR, SNOOPS = "not recorded", "MixMonitor r()t() over AMI", "two ARI snoops, recorded"
SETTLE_S = 1.0


@dataclass(slots=True)
class Phase:
    """One stretch of recording (or not) on all calls. Lengths in ms, one per recorded call."""

    cpu_ms: float = 0.0
    seconds: float = 0.0
    threads: int = 0
    channels: int = 0
    start_ms: list[float] = field(default_factory=list)
    stop_ms: list[float] = field(default_factory=list)  # until both files are complete
    apart_ms: list[float] = field(default_factory=list)  # |caller's file − buyer's file|
    lost_ms: list[float] = field(default_factory=list)  # time recorded by the clock − the shorter file

    def cpu_per_call_minute(self, calls: int) -> float:
        return self.cpu_ms / self.seconds * 60 / calls


class Calls:
    """Our application: answers each call, dials the buyer, bridges the two, records on demand."""

    def __init__(self, bed: Bed) -> None:
        asterisk = bed.asterisk
        self.client = AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, APP)
        self.ami = AmiClient(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_secret)
        self.ari, self.bed = Ari(self.client), bed
        self.folder = asterisk.instance.spool / "recording" / "bench"  # ARI records nowhere else
        self.callers: list[str] = []  # of bridged calls
        self.failures: list[str] = []
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.connected = asyncio.Event()
        self.bridged = asyncio.Semaphore(0)  # released once per bridged call

    async def listen(self, tasks: asyncio.TaskGroup) -> None:
        async for session in self.client.sessions():
            self.connected.set()
            async for frame in session:
                event = decode_event(frame)
                if isinstance(event, StasisStart):
                    if event.args == ["in"]:
                        tasks.create_task(self.connect(event.channel.id))
                    self.settle(event.channel.id)
                elif isinstance(event, Dial) and event.dialstatus == "ANSWER":
                    self.settle(f"{event.peer.id} answer")
                elif isinstance(event, RecordingStarted):
                    self.settle(event.recording.name)
                elif isinstance(event, RecordingFailed):
                    self.failures.append(f"{event.recording.name}: {event.recording.cause}")

    def settle(self, what: str) -> None:
        if (future := self.waiting.pop(what, None)) is not None and not future.done():
            future.set_result(None)

    async def after(self, what: str, act: Awaitable[object]) -> None:
        """Do something and wait for the event that it leads to."""
        future = self.waiting[what] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(10):
            await act
            await future

    async def connect(self, caller: str) -> None:
        leg, channels = f"{caller}.leg", self.ari.channels
        await self.after(leg, channels.create(endpoint=f"PJSIP/{TRUNK}", app=APP, channel_id=leg))
        await self.after(f"{leg} answer", channels.dial(leg, timeout_s=20))
        await channels.answer(caller)
        await self.ari.bridges.create(bridge_id=f"{caller}.bridge", type="mixing,dtmf_events")
        await self.ari.bridges.add_channel(f"{caller}.bridge", channel=[caller, leg])
        self.callers.append(caller)
        self.bridged.release()

    # ── the two ways ─────────────────────────────────────────────────────────────────────────────

    def files(self, caller: str, turn: int) -> tuple[Path, Path]:
        return self.folder / f"{turn}-{caller}-rx.wav", self.folder / f"{turn}-{caller}-tx.wav"

    async def monitor(self, caller: str, turn: int) -> Callable[[], Awaitable[None]]:
        receive, transmit = self.files(caller, turn)
        monitor = await self.ami.mix_monitor(caller, str(receive), str(transmit))

        async def stop() -> None:
            await self.ami.stop(caller, monitor)

        return stop

    async def snoop(self, caller: str, turn: int) -> Callable[[], Awaitable[None]]:
        snoops: list[tuple[str, str]] = []

        async def one(direction: str) -> None:
            name, snoop = f"bench/{turn}-{caller}-{direction}", f"{caller}.{turn}.{direction}"
            spy = "in" if direction == "rx" else "out"
            channels = self.ari.channels
            await self.after(snoop, channels.snoop_channel_with_id(caller, snoop, app=APP, spy=spy, app_args="snoop"))
            await self.after(name, channels.record(snoop, name=name, format="wav"))
            snoops.append((snoop, name))

        await asyncio.gather(one("rx"), one("tx"))

        async def stop() -> None:
            await asyncio.gather(*(self.ari.recordings.stop(name) for _, name in snoops))
            await asyncio.gather(*(self.ari.channels.hangup(snoop) for snoop, _ in snoops))

        return stop

    async def phase(self, way: str, turn: int, window_s: float) -> Phase:
        """Record all calls in one way for `window_s` and a little more; Asterisk's use of the processor."""
        phase, pid = Phase(), self.bed.asterisk.pid
        start = {MONITOR: self.monitor, SNOOPS: self.snoop}.get(way)
        stops: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {}
        for caller in self.callers if start else ():
            asked = time.monotonic()
            stop = await start(caller, turn) if start else None
            phase.start_ms.append((time.monotonic() - asked) * 1000)
            if stop is not None:
                stops[caller] = (time.monotonic(), stop)
        await asyncio.sleep(SETTLE_S)
        phase.channels = len(await self.ari.channels.list())
        phase.threads = int(stat(pid)[17])
        before, began = cpu_ms([pid]), time.monotonic()
        await asyncio.sleep(window_s)
        phase.cpu_ms, phase.seconds = cpu_ms([pid]) - before, time.monotonic() - began
        for caller, (since, stop) in stops.items():
            lasted_ms = (time.monotonic() - since) * 1000
            asked = time.monotonic()
            await stop()
            lengths = [await finished_ms(file) for file in self.files(caller, turn)]
            phase.stop_ms.append((time.monotonic() - asked) * 1000)
            phase.apart_ms.append(abs(lengths[0] - lengths[1]))
            phase.lost_ms.append(lasted_ms - min(lengths))
        return phase


async def finished_ms(file: Path) -> float:
    """The length of a WAV file as soon as its header tells it; TimeoutError after two seconds."""
    async with asyncio.timeout(2):
        while True:
            try:
                with wave.open(str(file)) as sound:
                    frames, rate = int(sound.getnframes()), int(sound.getframerate())
                    return 1000.0 * frames / rate
            except wave.Error:  # still being written
                await asyncio.sleep(0.001)


@asynccontextmanager
async def ready(bed: Bed) -> AsyncIterator[Calls]:
    """Trunks, a dialplan that hands calls to us, and us."""
    await push_trunks(bed, APP, CALLER_HOST)
    for pattern in ("_X.", "_+X."):
        await bed.asterisk.command(f"dialplan add extension {pattern},1,Stasis({APP},in) into {APP}")
    calls = Calls(bed)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(calls.listen(tasks))
        try:
            async with asyncio.timeout(10):
                await calls.connected.wait()
            yield calls
        finally:
            await calls.client.close()
            await calls.ami.close()
        await listening


async def measure(count: int, turns: int, window_s: float) -> tuple[dict[str, list[Phase]], list[str]]:
    """All phases of a run by way, and what failed."""
    order = [NONE, MONITOR, NONE, SNOOPS] * turns + [NONE]
    phases: dict[str, list[Phase]] = {NONE: [], MONITOR: [], SNOOPS: []}
    load = Load(rate=10, calls=count, talk_ms=int((len(order) * (window_s + 2.5) + 8) * 1000), media=True)
    async with bed() as under, ready(under) as calls:

        async def during() -> None:
            async with asyncio.timeout(count / load.rate + 10):
                for _ in range(count):
                    await calls.bridged.acquire()
            await asyncio.sleep(SETTLE_S)
            for turn, way in enumerate(order):
                phases[way].append(await calls.phase(way, turn, window_s))
            for caller in calls.callers:
                await calls.ari.channels.hangup(f"{caller}.leg")

        await run_load(under.sipp, load, CALLER_HOST, under.sip, "+15125550100", during)
        return phases, calls.failures


def section(quick: bool) -> Section:
    """The comparison as rows and a table."""
    count, turns, window_s = (10, 1, 5.0) if quick else (20, 3, 8.0)
    phases, failures = asyncio.run(measure(count, turns, window_s))
    used = {way: [one.cpu_per_call_minute(count) for one in phases[way]] for way in phases}
    base = statistics.median(used[NONE])
    extra = {way: statistics.median(used[way]) - base for way in (MONITOR, SNOOPS)}
    load = f"{count} bridged calls with RTP, µ-law"
    row = Row(
        load,
        "Asterisk CPU for recording, per call-minute",
        "ms",
        extra[MONITOR],
        extra[SNOOPS],
        SNOOPS,
        ratio(extra[MONITOR], extra[SNOOPS]),
        "≤ 1×",
        extra[MONITOR] <= extra[SNOOPS],
    )
    return Section(
        "Recording",
        rows=[row],
        tables=[table(phases, used, base, count)],
        notes=[f"{load}, the same calls in all lines; {turns} × {window_s:g} s per way, medians."],
        failures=failures,
    )


def table(phases: dict[str, list[Phase]], used: dict[str, list[float]], base: float, count: int) -> str:
    head = ["way", "CPU ms per call-minute", "extra", "channels per call", "threads per call"]
    head += [
        "start p50 ms",
        "start p95 ms",
        "stop p50 ms",
        "stop p95 ms",
        "sides differ by ≤ ms",
        "lost to the clock p50 ms",
        "≤ ms",
    ]
    body = []
    for way, ones in phases.items():
        starts, stops, apart, lost = (
            [value for one in ones for value in getattr(one, name)]
            for name in ("start_ms", "stop_ms", "apart_ms", "lost_ms")
        )
        body.append(
            [
                way,
                number(statistics.median(used[way])),
                number(statistics.median(used[way]) - base) if way != NONE else "",
                number(ones[0].channels / count),
                number((ones[0].threads - phases[NONE][0].threads) / count) if way != NONE else "",
                *([number(percentile(starts, 50)), number(percentile(starts, 95))] if starts else ["", ""]),
                *([number(percentile(stops, 50)), number(percentile(stops, 95))] if stops else ["", ""]),
                *([number(max(apart)), number(percentile(lost, 50)), number(max(lost))] if lost else [""] * 3),
            ]
        )
    return markdown_table(head, body)


if __name__ == "__main__":
    from bench.table import section_markdown

    print(section_markdown(section(quick=False)))
