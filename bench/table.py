"""The one shape every part of the bench returns, and how it becomes Markdown.

A part is a module `bench/<name>.py` with `rows(quick: bool) -> list[Row]` and, if it has something to say
beside its figures, `NOTES: tuple[str, ...]`. A part that also wants a table of its own offers
`section(quick: bool) -> Section` instead.
"""

import math
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours beside the same figure of a rival from the same run.

    `ours` and `rival` are in `unit`; None where it was not measured. `ratio` is ours / rival. `goal` is text
    ("≤ 2.5× the floor's"); `ok` says if it was met, None where there is no goal.
    """

    subject: str  # what was loaded: "50 calls/s", "reserve + settle, 8 holds"
    figure: str  # what was measured: "setup p50"
    unit: str  # "ms", "calls/s", "MB", ""
    ours: float | None
    rival: float | None = None
    rival_name: str = ""
    ratio: float | None = None
    goal: str = ""
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """What one part found: `tables` are ready-made Markdown tables, `failures` make the bench exit with 1."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "rows": [Row(**row) for row in data["rows"]]})


def ratio(ours: float | None, rival: float | None) -> float | None:
    """ours / rival, or None where either is missing or the rival is zero."""
    return ours / rival if ours is not None and rival else None


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile (`percent` in 0..100) of a non-empty sequence."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def median(values: Sequence[float | None]) -> float | None:
    """Median of the values that were measured; None if there are none."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def number(value: float | None) -> str:
    """Three significant digits for small figures, whole numbers with separators for large ones."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 100_000:
        return f"{int(value)}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose first `left` columns are text and the others are figures, aligned right."""
    rule = ["---" if index < left else "---:" for index in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])


def rows_table(rows: Sequence[Row]) -> str:
    """The rows as one Markdown table, one line each."""
    marks = {True: "yes", False: "**no**", None: ""}
    body = [
        [
            row.subject,
            row.figure + (f" ({row.unit})" if row.unit else ""),
            row.rival_name,
            number(row.ours),
            number(row.rival),
            f"{row.ratio:.2f}×" if row.ratio is not None else "–",
            row.goal,
            marks[row.ok],
        ]
        for row in rows
    ]
    head = ["load", "figure", "beside", "DCX", "the other", "ratio", "goal", "met"]
    return markdown_table(head, body, left=3)


def section_markdown(section: Section) -> str:
    """One section: heading, tables, goal rows, notes, what failed."""
    parts = [f"## {section.title}"]
    parts += section.tables
    if section.rows:
        parts.append(rows_table(section.rows))
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes))
    if section.failures:
        parts.append("\n".join(f"- **failed:** {one_line(failure)}" for failure in section.failures))
    return "\n\n".join(parts)


def one_line(text: str, limit: int = 400) -> str:
    """The text without line breaks, cut in the middle where it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit // 2]} … {flat[-limit // 2 :]}"


def machine_facts() -> list[str]:
    """What a reader needs to judge the figures; no path and no host name."""
    return [
        f"{os.cpu_count()} cores ({cpu_model()}), {memory_gib()} GiB memory, Linux {platform.release().split('-')[0]}",
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"run at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average before {os.getloadavg()[0]:.2f}",
    ]


def cpu_model() -> str:
    """The processor as the kernel names it, or the architecture."""
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib() -> int:
    """Physical memory in GiB, rounded."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def command_line() -> str:
    """The command that printed the table."""
    return " ".join(["python", "-m", "bench", *sys.argv[1:]])
