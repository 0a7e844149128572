"""One subject under one load: what the calls took and what they cost."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench import proc
from bench.bed import Bed
from bench.sipp import Load, Outcome, run_load
from bench.subjects import NUMBER, Subject, Work
from bench.table import percentile

WARM_UP = Load(rate=20, calls=20, talk_ms=300)
SETTLE_S = 0.7  # after the last BYE: rows written late belong to the call


@dataclass(frozen=True, slots=True)
class Run:
    """Setup in ms (None if no call was answered), processor time in ms per call."""

    p50: float | None
    p95: float | None
    p99: float | None
    failed: float
    asterisk_cpu: float
    app_cpu: float


@dataclass(frozen=True, slots=True)
class Media:
    """While calls talk: processor time in ms per second of one call, and whose audio flows."""

    asterisk_cpu: float
    app_cpu: float
    legs: int  # legs that Asterisk knows
    talking: int  # of these, with packets in and out


@dataclass(slots=True)
class Rig:
    """One subject at work on one Asterisk, and how many calls it was given."""

    bed: Bed
    subject: Subject
    work: Work
    placed: int = 0

    async def calls(self, load: Load, during: Callable[[], Awaitable[None]] | None = None) -> Outcome:
        self.placed += load.calls
        return await run_load(self.bed.sipp, load, self.subject.caller_host, self.bed.sip, NUMBER, during)

    def cpu_ms(self) -> tuple[float, float]:
        """Asterisk's and the subject's processor time so far."""
        return proc.cpu_ms([self.bed.asterisk.pid]), proc.cpu_ms(self.work.pids)

    def rss_mb(self) -> tuple[float, float]:
        """Asterisk's and the subject's resident memory now."""
        return proc.rss_mb([self.bed.asterisk.pid]), proc.rss_mb(self.work.pids)


async def warm_up(rig: Rig) -> None:
    """A few calls nobody counts. Raises RuntimeError if the subject carries none of them."""
    outcome = await rig.calls(WARM_UP)
    if outcome.failed == WARM_UP.calls:
        raise RuntimeError(f"carries no call: {outcome.complaint or 'the buyer never rang'}")


async def measure(rig: Rig, load: Load) -> tuple[Run, str]:
    """One load run; with it SIPp's complaint where calls failed, else ""."""
    before = rig.cpu_ms()
    outcome = await rig.calls(load)
    await asyncio.sleep(SETTLE_S)
    after = rig.cpu_ms()
    run = Run(
        *setup_times(outcome),
        failed=outcome.failed,
        asterisk_cpu=(after[0] - before[0]) / load.calls,
        app_cpu=(after[1] - before[1]) / load.calls,
    )
    return run, outcome.complaint


def setup_times(outcome: Outcome) -> tuple[float | None, float | None, float | None]:
    """p50, p95 and p99 of the setup times, in ms."""
    setup = outcome.setup_ms
    if not setup:
        return None, None, None
    return percentile(setup, 50), percentile(setup, 95), percentile(setup, 99)


async def measure_live(rig: Rig, load: Load) -> tuple[float, float]:
    """MB that Asterisk and the subject grew by, per 100 live calls, while all calls of `load` stand."""
    before = rig.rss_mb()
    grown: list[float] = []

    async def weigh() -> None:
        await asyncio.sleep(load.calls / load.rate + min(1.0, load.talk_ms / 2000))
        grown.extend((now - then) * 100 / load.calls for now, then in zip(rig.rss_mb(), before, strict=True))

    outcome = await rig.calls(load, weigh)
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} of {load.calls} standing calls failed: {outcome.complaint}")
    return grown[0], grown[1]


async def measure_media(rig: Rig, load: Load) -> tuple[Run, Media, str]:
    """A load whose calls all talk at once for a while; processor time is taken from that while only."""
    media: list[Media] = []
    ramp_s, talk_s = load.calls / load.rate, load.talk_ms / 1000

    async def watch() -> None:
        await asyncio.sleep(ramp_s + 0.5)
        before, window_s = rig.cpu_ms(), talk_s - ramp_s - 1.0
        await asyncio.sleep(window_s)
        spent = [now - then for now, then in zip(rig.cpu_ms(), before, strict=True)]
        legs, talking = talking_legs(await rig.bed.asterisk.command("pjsip show channelstats"))
        call_seconds = load.calls * window_s
        media.append(Media(spent[0] / call_seconds, spent[1] / call_seconds, legs, talking))

    outcome = await rig.calls(load, watch)
    return Run(*setup_times(outcome), outcome.failed, 0, 0), media[0], outcome.complaint


def talking_legs(stats: str) -> tuple[int, int]:
    """Legs in the console's `pjsip show channelstats`, and those with packets received and sent."""
    counts = re.findall(r"^.*?\d\d:\d\d:\d\d\s+\w+\s+(\d+)\s.*?\s(\d+)\s+\d+\s+\d+\s+[\d.]+\s+[\d.]+\s*$", stats, re.M)
    return len(counts), sum(1 for received, sent in counts if int(received) and int(sent))
