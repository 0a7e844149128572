"""Real callers who say what they want: flite speaks, a phone carries it, pocketsphinx hears it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from dcx_asterisk.phone import Phone
from dcx_asterisk.process import Asterisk
from dcx_asterisk.tree import Tree
from tests.sip.exchange import Exchange
from tests.sip.parties import until
from tests.sip.sounds import order

pytestmark = pytest.mark.sip

MENU, WRONG, SORRY = 1300, 1700, 2100
SALES_HZ, SUPPORT_HZ = 700, 900
RATE = 8000
FLOW: dict[str, Any] = {
    "start": "main",
    "nodes": {
        "main": {
            "type": "menu",
            "say": f"tone {MENU} for 1.0",
            "invalid_say": f"tone {WRONG} for 0.6",
            "speech": True,
            "timeout_s": 15,
            "tries": 3,
            "choices": {
                "1": {"next": "sales", "label": "Sales"},
                "2": {"next": "support", "label": "Customer Support", "words": ["support", "customer support"]},
                "3": {"next": "sorry", "label": "Billing"},
            },
            "on": {"any": "sorry"},
        },
        "sales": {"type": "route", "on": {"any": "sorry"}},
        "support": {"type": "forward", "to": [], "on": {"any": "sorry"}},
        "sorry": {"type": "hangup", "say": f"tone {SORRY} for 0.6"},
    },
}


def spoken(tree: Tree, folder: Path, words: str, voice: str = "slt") -> Path:
    """A file that says it after a tenth of a second, and is quiet for a minute then."""
    raw, ready = folder / "raw.wav", folder / f"{words.replace(' ', '-')}.wav"
    command = tree.command("flite", "-voice", voice, "-t", words, "-o", str(raw))
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    samples, rate = soundfile.read(raw, dtype="float32")
    said = soxr.resample(samples, rate, RATE)
    parts = [np.zeros(RATE // 10), said, np.zeros(RATE * 60)]
    soundfile.write(ready, np.concatenate(parts).astype("float32"), RATE, subtype="PCM_16")
    return ready


async def silent(caller: Phone, folder: Path) -> None:
    path = folder / "silence.wav"
    soundfile.write(path, np.zeros(RATE * 60, dtype="float32"), RATE, subtype="PCM_16")
    await caller.command("ausrc", f"aufile,{path}")


async def say(caller: Phone, path: Path) -> None:
    await caller.command("ausrc", f"aufile,{path}")


async def ready(x: Exchange) -> tuple[Phone, Any]:
    """A quiet caller in the menu, who is listened to."""
    caller = await x.caller()
    await silent(caller, x.folder)
    call = await x.call(caller)
    await x.hear(caller, MENU)
    await until(lambda: call.listening is not None and call.listening.attends, "the menu listens")
    return caller, call


async def selling(x: Exchange) -> tuple[Phone, Phone]:
    sales, support = await x.phones(sales=(SALES_HZ, "auto"), support=(SUPPORT_HZ, "auto"))
    to = f"sip:desk@127.0.0.1:{support.port}"
    nodes = {**FLOW["nodes"], "support": {**FLOW["nodes"]["support"], "to": [to]}}
    await x.campaign(flow={**FLOW, "nodes": nodes})
    await x.buyer("sales", sales)
    return sales, support


async def test_a_caller_says_sales_and_talks_with_the_buyer(x: Exchange, asterisk: Asterisk) -> None:
    await selling(x)
    path = await asyncio.to_thread(spoken, asterisk.tree, x.folder, "sales")
    caller, _ = await ready(x)
    await say(caller, path)
    await x.hear(caller, SALES_HZ)
    await caller.hangup()
    (row,) = await x.over()
    assert row["flow_path"].startswith("main:1 sales")
    (said,) = await x.query("SELECT data FROM call_events WHERE kind = 'said'")
    assert '"sales"' in said["data"]


async def test_what_nobody_asked_for_is_asked_again_and_a_digit_works_in_the_same_menu(
    x: Exchange, asterisk: Asterisk
) -> None:
    await selling(x)
    path = await asyncio.to_thread(spoken, asterisk.tree, x.folder, "what did you say", "rms")
    caller, call = await ready(x)
    await say(caller, path)
    await x.hear(caller, WRONG)
    await x.hear(caller, MENU)
    await caller.digits("2")
    await x.hear(caller, SUPPORT_HZ)
    await caller.hangup()
    (row,) = await x.over()
    assert row["flow_path"].startswith("main:2 support")
    assert order(caller.heard, {"menu": MENU, "wrong": WRONG, "support": SUPPORT_HZ}) == [
        *("menu", "wrong", "menu", "support")
    ]
    assert call.listened == []


async def test_a_caller_who_hangs_up_in_the_middle_of_a_word(x: Exchange, asterisk: Asterisk) -> None:
    await selling(x)
    path = await asyncio.to_thread(spoken, asterisk.tree, x.folder, "customer support", "rms")
    caller, call = await ready(x)
    await say(caller, path)
    await until(lambda: call.listening is None or call.listening.counts, "the caller speaks", every_s=0.005)
    await caller.hangup()
    (row,) = await x.over()  # no channel, no bridge
    assert row["flow_path"] == "main"
