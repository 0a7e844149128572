"""One real call on the example exchange: two SIP phones, one Asterisk, one engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dcx_ari.app import Engine
from dcx_ari.flows.document import load_yaml
from dcx_ari.services.example import Example, load_example
from dcx_asterisk.phone import Phone
from dcx_asterisk.tree import Tree

NUMBER = "+15550100000"
CALLER = "+12125550123"
CALLER_HZ, BUYER_HZ = 440.0, 700.0
TALK_S = 6.0
_AUDIBLE = 500.0
_STEP_S = 20.0

Say = Callable[[str], None]


class DemoFailed(Exception):
    """The call did not go as it should; the message says at which step."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Amplitudes of the other side's tone while both talked, and of our own where it must not be."""

    caller_hears_buyer: float
    buyer_hears_caller: float


def flow() -> Mapping[str, Any]:
    """The example's flow document."""
    document: Mapping[str, Any] = load_yaml(files("dcx_ari.examples").joinpath("demo.yaml").read_text("utf-8"))
    return document


async def prepare(engine: Engine, carrier: Phone) -> None:
    """Load the example exchange; its one trunk leads to (and accepts calls from) the given phone's address."""
    await load_example(
        engine.database,
        Example(
            trunk_host=carrier.host,
            trunk_port=carrier.port,
            accept_from=(carrier.host,),
            number=NUMBER,
            flow=flow(),
        ),
    )
    await engine.configuration.load()
    await engine.push_trunks()


async def place_call(engine: Engine, caller: Phone, buyer: Phone, sip_port: int, say: Say) -> tuple[str, Heard]:
    """The call, step by step. Returns the call's id and what was heard. Raises `DemoFailed`."""
    try:
        async with asyncio.timeout(120):
            return await _place_call(engine, caller, buyer, sip_port, say)
    except TimeoutError as error:
        raise DemoFailed(str(error) or "the call took too long") from None


async def _place_call(engine: Engine, caller: Phone, buyer: Phone, sip_port: int, say: Say) -> tuple[str, Heard]:
    await caller.dial(f"sip:{NUMBER}@127.0.0.1:{sip_port}")
    say(f"A phone dials {NUMBER}")
    await caller.wait("CALL_ESTABLISHED", timeout_s=_STEP_S)
    say("The exchange answers: greeting and menu")
    call_id = next(iter(engine.exchange.calls))
    await _stage(engine, call_id, "menu")
    await asyncio.sleep(1.5)
    await caller.digits("1")
    say("The caller presses 1 in the middle of the menu")
    ringing = await buyer.wait("CALL_INCOMING", timeout_s=_STEP_S)
    say(f"The buyer's phone rings: {ringing.peer}")
    await asyncio.sleep(1.0)
    await buyer.accept()
    await buyer.wait("CALL_ESTABLISHED", timeout_s=_STEP_S)
    say("The buyer answers and hears a whisper; the caller still hears ringing")
    await _stage(engine, call_id, "talking")
    say("Both are connected and the recording runs")
    await asyncio.sleep(TALK_S)
    heard = Heard(caller.hears(BUYER_HZ, -3.0), buyer.hears(CALLER_HZ, -3.0))
    if min(heard.caller_hears_buyer, heard.buyer_hears_caller) < _AUDIBLE:
        raise DemoFailed(f"the two do not hear each other: {heard}")
    say("Both hear each other")
    await buyer.hangup()
    await caller.wait("CALL_CLOSED", timeout_s=_STEP_S)
    say("The buyer hangs up; the caller is released")
    await _finished(engine, call_id)
    return call_id, heard


async def _stage(engine: Engine, call_id: str, stage: str) -> None:
    """Wait until the call has come to a stage."""
    async with asyncio.timeout(_STEP_S):
        while True:
            call = engine.exchange.calls.get(call_id)
            if call is None:
                raise DemoFailed(f"the call ended before it came to the stage {stage}")
            if call.stage_name == stage:
                return
            await asyncio.sleep(0.05)


async def _finished(engine: Engine, call_id: str) -> None:
    """Wait until the row is closed and the recording is ready."""
    query = text(
        "SELECT c.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM recordings r WHERE r.call_id = c.id "
        "AND r.state NOT IN ('ready', 'failed')) FROM calls c WHERE c.id = :id"
    )
    async with asyncio.timeout(_STEP_S):
        while True:
            async with engine.database.read_connection() as connection:
                if (await connection.execute(query, {"id": call_id})).scalar():
                    return
            await asyncio.sleep(0.05)


def phones(tree: Tree, folder: Path, first_port: int) -> tuple[Phone, Phone]:
    """The caller's phone and the buyer's, each with a tone of its own."""
    caller = Phone(tree, folder / "caller", first_port, name=CALLER, tone_hz=CALLER_HZ)
    buyer = Phone(tree, folder / "buyer", first_port + 20, name="buyer", tone_hz=BUYER_HZ)
    return caller, buyer
