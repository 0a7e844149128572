"""Flows: what checking a document costs, and what the interpreter costs per node.

Both without Asterisk: the check is beside plain PyYAML reading the same text, the walk beside a bare coroutine that
calls the same verbs of the same call in the same order. Nothing waits, so all of it is CPU time.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import yaml

from bench.table import Row, percentile, ratio
from dcx_ari.ari.resources import Ari
from dcx_ari.call.call import Call
from dcx_ari.call.ports import Desk, Inbound, Ports, Recorder, Speech
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.decide.filters import compile_filter
from dcx_ari.decide.rows import Filter
from dcx_ari.decide.schedules import CompiledSchedule
from dcx_ari.decide.snapshot import Snapshot, build
from dcx_ari.flows.checking import check_text
from dcx_ari.flows.document import Document, from_data
from dcx_ari.flows.walk import walk
from dcx_ari.store.journal import Journal

NOTES = (
    "Check: 200 nodes in rings of eight that lead back to one another, errors looked for in all of them; beside it: "
    "PyYAML reads the same text, and nothing is checked.",
    "Walk: menu with the digit typed ahead, set, branch, hours and goto in turn, with the real journal (its database "
    "left out). A bare coroutine calls the same verbs and asks the same schedule and filter.",
)
NODES = 200
_NOW = 1_772_463_600_000  # 2026-03-02 10:00 in New York, a Monday
_KINDS = 5
_FILTER = {"tag": "step", "op": ">", "value": 1}
_WEEKLY = {"mon": [["09:00", "17:00"]]}


def rows(quick: bool) -> list[Row]:
    """The figures of this part."""
    return [*_checking(5 if quick else 30), *asyncio.run(_walking(20 if quick else 200))]


def _checking(times: int) -> list[Row]:
    text = looped(NODES)
    document, problems = check_text(text)
    if document is None or problems:
        raise RuntimeError(f"the bench's own flow is wrong: {problems[:3]}")
    ours = percentile(_each(times, lambda: check_text(text)), 50)
    found = []
    for name, loader in (("yaml.safe_load", yaml.SafeLoader), ("yaml.CSafeLoader", yaml.CSafeLoader)):
        other = percentile(_each(times, lambda use=loader: yaml.load(text, Loader=use)), 50)  # type: ignore[misc]  # noqa: S506
        found.append(
            Row(
                f"{NODES} nodes with loops, {len(text) // 1000} kB",
                "check p50",
                "ms",
                ours,
                other,
                f"{name}, no check",
                ratio(ours, other),
                "≤ 200 ms",
                ours <= 200,
            )
        )
    return found


def looped(nodes: int) -> str:
    """Rings of eight nodes: menu, gather, hours, branch, set, play, goto, and a menu that leads on or back."""
    lines = ["start: n0", "nodes:"]
    for n in range(nodes - 1):
        following, back = (f"n{n + 1}" if n + 1 < nodes - 1 else "end"), f"n{n // 8 * 8}"
        on = f"on: {{any: {back}}}"
        lines += [
            f"  n{n}:",
            *(
                (f"    {{type: menu, say: Press 1 or 2., choices: {{1: {following}, 2: {back}}}, {on}}}",),
                (f"    {{type: gather, say: ZIP., tag: zip, max: 5, pattern: '[0-9]+', next: {following}, {on}}}",),
                (f"    {{type: hours, weekly: {{mon: [[09:00, 17:00]]}}, open: {following}, closed: {back}}}",),
                (
                    "    type: branch",
                    "    when:",
                    f"      - {{if: [{{tag: state, op: in, value: [NY, NJ]}}], next: {following}}}",
                    f"    otherwise: {back}",
                ),
                (f"    {{type: set, tags: {{seen: '{{{{source}}}} at {{{{time}}}}'}}, next: {following}}}",),
                (f"    {{type: play, say: 'Hello {{{{caller}}}}.', next: {following}}}",),
                (f"    {{type: goto, next: {following}}}",),
                (f"    {{type: menu, say: Again., choices: {{1: {following}, 3: {back}}}, {on}}}",),
            )[n % 8],
        ]
    return "\n".join([*lines, "  end: {type: hangup}", ""])


def straight(nodes: int) -> dict[str, Any]:
    """A flow that a caller who has typed ahead goes through without waiting."""
    made: dict[str, Any] = {"end": {"type": "hangup"}}
    for n in range(nodes):
        following = f"n{n + 1}" if n + 1 < nodes else "end"
        made[f"n{n}"] = (
            {"type": "menu", "say": "One.", "choices": {"1": following}, "on": {"any": "end"}},
            {"type": "set", "tags": {"step": n + 2}, "next": following},
            {"type": "branch", "when": [{"if": [_FILTER], "next": following}], "otherwise": "end"},
            {"type": "hours", "weekly": _WEEKLY, "open": following, "closed": "end"},
            {"type": "goto", "next": following},
        )[n % _KINDS]
    return {"start": "n0", "nodes": made}


async def _walking(times: int) -> list[Row]:
    document = from_data(straight(NODES))
    ours, other = [], []
    for _ in range(times + 1):
        ours.append(await _cpu_ms(document, None))
        other.append(await _cpu_ms(None, bare))
    mine, rival = percentile(ours[1:], 50) / NODES, percentile(other[1:], 50) / NODES
    worst = percentile(ours[1:], 99) / NODES
    subject = f"walk of {NODES} nodes"
    name = "a bare coroutine, same verbs"
    return [
        Row(subject, "CPU per node p50", "ms", mine, rival, name, ratio(mine, rival), "≤ 0.2 ms", mine <= 0.2),
        Row(subject, "CPU per node p99", "ms", worst, None, "", None, "≤ 0.2 ms", worst <= 0.2),
    ]


async def _cpu_ms(document: Document | None, bare: Callable[[Call], Any] | None) -> float:
    call = _call()
    began = time.thread_time()
    if document is not None:
        await walk(call, document)
    elif bare is not None:
        await bare(call)
    took = (time.thread_time() - began) * 1000
    if document is not None and len(call.path.split()) != NODES + 1:
        raise RuntimeError(f"the walk ended early: {call.path[-80:]}")
    return took


async def bare(call: Call) -> None:
    """What the flow does, without a flow."""
    schedule, above = _schedule(call.ports.desk.snapshot()), compile_filter(Filter(**_FILTER))
    for n in range(NODES):
        kind = ("menu", "set", "branch", "hours", "goto")[n % _KINDS]
        call.note_stage(kind, node=f"n{n}")
        if kind == "menu":
            entry = await call.digits(DigitRule(choices=frozenset("1")), first_s=5, between_s=2)
            if not isinstance(entry, Complete):
                raise RuntimeError("a digit is missing")
            call.tag(digits=entry.digits)
        elif kind == "set":
            call.tag(step=str(n + 2))
        elif kind == "branch" and not above.test(call.tags.get("step")):
            raise RuntimeError("the tag is missing")
        elif kind == "hours" and not schedule.piece_at(_NOW).open:
            raise RuntimeError("closed")


def _schedule(snapshot: Snapshot) -> CompiledSchedule:
    (_, compiled) = snapshot.compiled.schedules[1]
    if not isinstance(compiled, CompiledSchedule):
        raise TypeError("the bench's own schedule is wrong")
    return compiled


class _Still:
    """A desk with one schedule, and a transport that is never asked."""

    def __init__(self) -> None:
        self._snapshot = build({"schedules": [{"id": 1, "name": "Office", "weekly": _WEEKLY}]}, version=1)

    def snapshot(self) -> Snapshot:
        return self._snapshot


_STILL = _Still()


async def _nothing(_: Any) -> None: ...


def _call() -> Call:
    journal = Journal(_nothing, "bench")
    nobody: Any = None
    ports = Ports(journal, cast("Speech", nobody), cast("Recorder", nobody), lambda: _NOW, cast("Desk", _STILL))
    facts = Inbound("bench", "+18005550100", "+12125550123", "", {})
    journal.opened("bench", facts, _NOW)
    call = Call("bench", facts, cast("Ari", nobody), "dcx-0", ports)
    call.caller.answered_at = _NOW
    call.caller.digits.extend("1" * NODES)
    return call


def _each(count: int, work: Callable[[], Any]) -> list[float]:
    """Milliseconds of each run; one before them is not counted."""
    work()
    found = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


if __name__ == "__main__":
    import sys

    from bench.table import rows_table

    print(rows_table(rows("--quick" in sys.argv)))
