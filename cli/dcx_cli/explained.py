"""A Decision and what became of it, told on the terminal; made from what `services.explain` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dcx_cli import show

Told = Mapping[str, Any]


def print_told(told: Told) -> None:
    """Everything: the call, the Decision, the attempts, who got it and why."""
    console = show.console()
    if "call" in told:
        _lines(console, [*_call(told["call"])])
    if told["decision"] is not None:
        print_decision(told, console)
    if told.get("attempts"):
        _title(console, "Attempts")
        _table(console, ("", "buyer", "endpoint", "result", "cause", "ring", "talk"), _attempts(told["attempts"]))
    if "outcome" in told:
        console.print()
        console.print(Text(told["outcome"], style="bold"))


def print_decision(told: Told, console: Console | None = None) -> None:
    """The Decision alone: what it was made for, the candidates in order, and why not the others."""
    console = console or show.console()
    _lines(console, [*_about(told["decision"])])
    if told["refusal"] is not None:
        console.print()
        console.print(Text(f"The call is refused before any buyer is looked at: {told['refusal']['text']}"))
    if told["candidates"]:
        _title(console, f"Candidates, in the order of trying ({told['order']})")
        columns = ("", "candidate", "tier", "weight", "score", "draw", "then")
        _table(console, columns, _candidates(told["candidates"]))
    if told["rejected"]:
        _title(console, "Not offered")
        _table(console, ("", "why"), _rejected(told["rejected"]))


def _call(call: Told) -> Iterator[tuple[str, str]]:
    test = "  TEST, kept out of caps and money" if call["test"] else ""
    yield "call", f"{call['id']}  {call['caller'] or 'withheld'} → {call['dialled']}{test}"
    ended = f", ended {call['ended_at']}" if call["ended_at"] else ""
    yield "status", f"{call['status'].lower().replace('_', '-')}, began {call['started_at']}{ended}"


def _about(d: Told) -> Iterator[tuple[str, str]]:
    yield "decided", f"{d['decided_at']}, configuration {d['config_version']}"
    of = [f"number {d['number']}"]
    of += [f"{name} {d[name]}" for name in ("campaign", "source") if d[name]]
    yield "for", ", ".join(of)
    state = f"{d['state']} (from {_SOURCES[d['geo_source']]})" if d["state"] else "unknown"
    yield "caller", f"{d['caller'] or 'withheld'}, state {state}"
    tags = {name: value for name, value in d["tags"].items() if name not in _KNOWN and value not in (None, "")}
    if tags:
        yield "tags", ", ".join(f"{name}={value}" for name, value in tags.items())
    if d["tried_before"]:
        yield "again", f"a later decision of the call; dialled before: {', '.join(d['tried_before'])}"
    if d["no_payout"]:
        yield "payout", "none: a duplicate rule of source or campaign routes the call unpaid"


_SOURCES = {"lookup": "a lookup", "ivr_zip": "the ZIP", "npa": "the area code", "unknown": "nowhere"}
_KNOWN = ("caller", "number", "campaign", "source", "state")


def _candidates(rows: Sequence[Told]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        group = row["kind"] == "group" or row["members"]
        name = f"{row['name']} ({'all ring at once' if row['together'] else 'group'})" if group else row["name"]
        marks = [*row["marks"], *([row["result"]] if row["result"] else [])]
        figures = (str(row["tier"]), str(row["weight"]), row["score_text"], f"{row['draw']:.4f}")
        yield f"{row['place']}.", name, *figures, ", ".join(marks)
        for member in row["members"]:
            figures = (str(member["priority"]), str(member["weight"]), "", f"{member['draw']:.4f}")
            yield "", f"  {member['name']}", *figures, "would not pay" if member["unpaid"] else ""


def _rejected(rows: Sequence[Told]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        name = f"{row['name']} (in {row['group']})" if row["group"] else row["name"]
        yield name, row["text"]
        for text in row["also"]:
            yield "", f"also {text}"


def _attempts(rows: Sequence[Told]) -> Iterator[tuple[str, ...]]:
    for n, row in enumerate(rows, 1):
        seconds = ("-" if row[name] is None else f"{row[name]:.1f} s" for name in ("ring_s", "talk_s"))
        result = str(row["result"] or "ringing").replace("_", " ")
        if row["result"] == "reserve_lost" and "cap" in row:
            result = f"another call took the last place ({row['cap']} {row['used']} + {row['held']} of {row['limit']})"
        who = row.get("buyer") or (f"buyer {row['buyer_id']}" if row.get("buyer_id") else "-")
        yield f"{n}.", who, row.get("endpoint") or "-", result, str(row.get("cause") or "-"), *seconds


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _lines(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(name, Text(text))
    console.print(made)


def _table(console: Console, columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    made = Table(header_style="bold", box=None, pad_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold", justify="right" if name in _RIGHT else "left")
    for row in rows:
        made.add_row(*map(Text, row))
    console.print(made)


_RIGHT = ("tier", "weight", "score", "draw", "cause", "ring", "talk")
