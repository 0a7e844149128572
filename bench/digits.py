"""Digits: how soon a digit is acted on, while 50 calls talk; the menu in DCX beside the same menu as dialplan.

Both menus stand on the same Asterisk at the same time, beside the same 50 calls, and are called in turn. A caller
presses 1 in the first menu and hears the second menu's beep, presses 2 in that, and is hung up on.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench import ports, presser
from bench.bed import Bed, bed
from bench.measure import talking_legs
from bench.seed import BUYERS
from bench.sipp import Load, run_load
from bench.subjects import DCX, NUMBER, dcx_run
from bench.table import Row, Section, percentile, ratio
from dcx_ari.services import rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import open_database

MENU_NUMBER = "+15125550101"
PLAIN, PLAIN_HOST = "bench-menu", "127.0.0.25"
LIVE, GOAL_MS = 50, 50.0
CALL_S = 2.5  # a call of ours takes no longer, as a rule; the live calls must outlast all of them
HEARD, ENDED = "digit's end to the next prompt's sound", "digit's end to the hang-up"
FLOW = {
    "start": "first",
    "nodes": {
        "first": {"type": "menu", "sound": "silence/10", "choices": {"1": "second"}, "on": {"any": "end"}},
        "second": {"type": "menu", "sound": "beep", "choices": {"2": "end"}, "on": {"any": "end"}},
        "end": {"type": "hangup"},
    },
}
DIALPLAN = {
    PLAIN: {"_+X.": [f"Goto({PLAIN}-first,s,1)"], "_X.": [f"Goto({PLAIN}-first,s,1)"]},
    f"{PLAIN}-first": {
        "s": ["Answer()", "Background(silence/10)", "WaitExten(5)", "Hangup()"],
        "1": [f"Goto({PLAIN}-second,s,1)"],
    },
    f"{PLAIN}-second": {"s": ["Background(beep)", "WaitExten(5)", "Hangup()"], "2": ["Hangup()"]},
}
NOTES = (
    "A caller of our own presses digits of 100 ms (RFC 4733) at random moments, also in the middle of the prompts; "
    "time runs from the first packet with the end bit to the first RTP packet with sound, or to the BYE.",
    "Beside it: Background() and WaitExten() in the dialplan of the same Asterisk, called in turn with DCX's menu.",
)


@dataclass(slots=True)
class Times:
    """Milliseconds, one per digit that was acted on; what did not come."""

    heard: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def section(quick: bool) -> Section:
    """The figures of this part."""
    times = 10 if quick else 120
    ours, plain, talking, versions = asyncio.run(measure(times))
    failures = [f"{name}: {len(one.lost)} of {times}: {one.lost[0]}" for name, one in _named(ours, plain) if one.lost]
    if talking < 2 * LIVE:
        failures.append(f"{talking} legs of {2 * LIVE} had audio both ways")
    found = [
        *figures(HEARD, ours.heard, plain.heard),
        *figures(ENDED, ours.ended, plain.ended),
    ]
    return Section("Digits", rows=found, notes=[f"{versions}; {times} digits each.", *NOTES], failures=failures)


def _named(ours: Times, plain: Times) -> list[tuple[str, Times]]:
    return [("DCX", ours), ("dialplan", plain)]


def figures(what: str, ours: list[float], plain: list[float]) -> list[Row]:
    """p50, p95 and p99 of one kind of answer."""
    found = []
    for percent in (50, 95, 99) if ours and plain else ():
        mine, other = percentile(ours, percent), percentile(plain, percent)
        goal = (f"≤ {GOAL_MS:g} ms", mine <= GOAL_MS) if percent == 99 else ("", None)
        name = "the same menu as dialplan"
        found.append(
            Row(f"{LIVE} live calls", f"{what} p{percent}", "ms", mine, other, name, ratio(mine, other), *goal)
        )
    return found


async def measure(times: int) -> tuple[Times, Times, int, str]:
    """What DCX's and the dialplan's menu took, how many legs of the live calls talked to the end, and versions."""
    ours, plain, talking = Times(), Times(), 0
    load = Load(rate=20, calls=LIVE, talk_ms=int((10 + 2 * times * CALL_S) * 1000), media=True)
    async with bed(rtp_ports=ports.FEW_RTP) as under, menu(under):
        async with dcx_run(under, DCX.caller_host, buyers=BUYERS, caps=True, more=add_flow):
            target = (under.asterisk.instance.sip_bind, under.asterisk.instance.sip_port)

            async def during() -> None:
                nonlocal talking
                await all_talk(under)
                for _ in range(times):
                    await one(ours, DCX.caller_host, target)
                    await one(plain, PLAIN_HOST, target)
                _, talking = talking_legs(await under.asterisk.command("pjsip show channelstats"))
                await under.asterisk.command("channel request hangup all")

            await run_load(under.sipp, load, DCX.caller_host, under.sip, NUMBER, during)
        return ours, plain, talking, under.versions


async def one(times: Times, host: str, target: tuple[str, int]) -> None:
    """A call through both menus; the figures of its digits."""
    try:
        async with presser.call(host, target, MENU_NUMBER) as caller:
            await asyncio.sleep(random.uniform(0.2, 0.4))
            if caller.sounded is not None:
                raise presser.Silence("there was sound before the first digit")
            until = await caller.press("1")
            await caller.until(lambda: caller.sounded is not None, "sound after the first digit")
            times.heard.append(((caller.sounded or 0.0) - until) * 1000)
            await asyncio.sleep(random.uniform(0.1, 0.4))  # longer than the packets that repeat the end
            until = await caller.press("2")
            await caller.until(lambda: caller.ended is not None, "hang-up after the second digit")
            times.ended.append(((caller.ended or 0.0) - until) * 1000)
    except presser.Silence as silence:
        times.lost.append(str(silence))


async def all_talk(under: Bed) -> None:
    """Wait until every live call has audio both ways."""
    async with asyncio.timeout(20):
        while True:
            _, talking = talking_legs(await under.asterisk.command("pjsip show channelstats"))
            if talking >= 2 * LIVE:
                return
            await asyncio.sleep(0.2)


async def add_flow(url: str) -> None:
    """The menu as a published flow, with a campaign and a number of its own."""
    database = open_database(url)
    try:
        async with database.write() as session:
            flow = await rows.create(
                session, RESOURCES["flows"], {"name": "menu", "document": FLOW, "status": "published"}
            )
            campaign = {"name": "menu", "flow_id": flow["id"], "record": False}
            made = await rows.create(session, RESOURCES["campaigns"], campaign)
            number = {"phone_number": MENU_NUMBER, "campaign_id": made["id"], "traffic_source_id": 1}
            await rows.create(session, RESOURCES["numbers"], number)
    finally:
        await database.close()


@asynccontextmanager
async def menu(under: Bed) -> AsyncIterator[None]:
    """The same menu in the dialplan, for calls from `PLAIN_HOST`."""
    await under.push("endpoint", PLAIN, {"allow": "!all,ulaw", "direct_media": "no", "callerid": "", "context": PLAIN})
    await under.push("identify", PLAIN, {"endpoint": PLAIN, "match": PLAIN_HOST})
    for context, extensions in DIALPLAN.items():
        for extension, steps in extensions.items():
            for priority, step in enumerate(steps, start=1):
                line = f"{extension},{priority},{step}"
                await under.asterisk.command(f"dialplan add extension {line} into {context}")
    yield


if __name__ == "__main__":
    from bench.table import section_markdown

    print(section_markdown(section(quick=True)))
