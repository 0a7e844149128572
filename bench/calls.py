"""Whole calls under load: the same SIPp calls through the plain dialplan, through the floor, through DCX."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bench.bed import bed
from bench.calls_report import describe
from bench.findings import FULL, QUICK, Findings, Plan, say
from bench.measure import Rig, measure, measure_live, measure_media, warm_up
from bench.sipp import Load
from bench.subjects import DCX_ONE, SUBJECTS, TOGETHER, Subject
from bench.table import Section
from dcx_asterisk.errors import AsteriskError

TROUBLE = (OSError, RuntimeError, TimeoutError, AsteriskError)


def section(quick: bool) -> Section:
    """Run everything and describe it; what fails is named in the section and the rest goes on."""
    plan, findings = (QUICK if quick else FULL), Findings()
    try:
        asyncio.run(run(plan, findings))
    except TROUBLE as trouble:  # Asterisk itself: what was measured before it still counts
        findings.failures.append(str(trouble))
    return describe(plan, findings)


async def run(plan: Plan, findings: Findings) -> None:
    """First setup and processor time, all subjects on one Asterisk; then memory and media, each alone."""
    well: set[str] = set()
    for subjects, only in TOGETHER:
        async with rigs(subjects, findings) as together:
            for turn in range(plan.repetitions):
                for load in (each for each in plan.rates if only in (None, each.rate)):
                    for rig in together:
                        say(f"{load.rate} calls/s, turn {turn + 1} of {plan.repetitions}: {rig.subject.title}")
                        await rate_run(rig, load, findings)
            for rig in together:
                well.add(rig.subject.name)
                for complaint in rig.work.complaints(rig.placed):
                    findings.fail(rig.subject, "books", complaint)
    for subject in SUBJECTS:
        if subject.name in well and subject is not DCX_ONE:
            async with rigs((subject,), findings) as alone:
                for rig in alone:
                    say(f"memory and media: {subject.title}")
                    await standing_runs(rig, plan, findings)


@asynccontextmanager
async def rigs(subjects: Sequence[Subject], findings: Findings) -> AsyncIterator[list[Rig]]:
    """A fresh Asterisk with these subjects warmed up on it; one that cannot is left out with its reason."""
    started: list[Rig] = []
    async with AsyncExitStack() as stack:
        asterisk = await stack.enter_async_context(bed())
        findings.versions = asterisk.versions
        for subject in subjects:
            try:
                rig = Rig(asterisk, subject, await stack.enter_async_context(subject.start(asterisk)))
                await warm_up(rig)
                started.append(rig)
            except TROUBLE as trouble:
                findings.fail(subject, "start", trouble)
        yield started


async def rate_run(rig: Rig, load: Load, findings: Findings) -> None:
    try:
        figures, complaint = await measure(rig, load)
    except TROUBLE as trouble:
        findings.fail(rig.subject, f"{load.rate} calls/s", trouble)
        return
    findings.runs.setdefault((rig.subject.name, load.rate), []).append(figures)
    if figures.failed:
        findings.fail(rig.subject, f"{load.rate} calls/s", f"{figures.failed} of {load.calls}: {complaint}")


async def standing_runs(rig: Rig, plan: Plan, findings: Findings) -> None:
    try:
        if plan.live is not None:
            findings.live[rig.subject.name] = await measure_live(rig, plan.live)
        figures, media, complaint = await measure_media(rig, plan.media)
    except TROUBLE as trouble:
        findings.fail(rig.subject, "standing calls", trouble)
        return
    findings.media[rig.subject.name] = figures, media
    if figures.failed or media.talking < 2 * plan.media.calls:
        text = f"{figures.failed} of {plan.media.calls} failed, {media.talking} legs talk: {complaint}"
        findings.fail(rig.subject, "calls with media", text)
