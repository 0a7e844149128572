"""A report on the terminal: a table, and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.report_files import label_of, title_of
from dcx_ari.services.reports import Report
from dcx_cli.show import cell

_WIDTH = 40
_MOST_BARS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def table(made: Report) -> Table:
    """Rows and totals; what a group of the first dimension shares is written once."""
    shown = Table(header_style="bold", box=None, pad_edge=False, show_footer=True)
    for index, name in enumerate(made.group_by):
        shown.add_column(title_of(name), footer=Text("Total", style="bold") if index == 0 else "", overflow="fold")
    for name in made.figures:
        shown.add_column(title_of(name), Text(figure(name, made.totals[name]), style="bold"), justify="right")
    before: Sequence[str] = ()
    for row in made.rows:
        labels = [label_of(name, row[name]) for name in made.group_by]
        first = "" if len(labels) > 1 and before and before[0] == labels[0] else labels[0]
        before = labels
        shown.add_row(Text(first), *map(Text, labels[1:]), *(Text(figure(name, row[name])) for name in made.figures))
    return shown


def figure(name: str, value: Any) -> str:
    """A figure for people."""
    if value is None:
        return "-"
    if name == "average_duration_s":
        return f"{int(value) // 60}:{int(value) % 60:02d}"
    if name == "conversion_percent":
        return f"{value:.1f} %"
    return f"{value:,}" if isinstance(value, int) and not name.endswith("_cents") else cell(name, value)


def bars(made: Report, name: str) -> Table | None:
    """A bar for each group of the first dimension, as long as its share of the longest; None where all are empty."""
    if name not in made.figures:
        return None
    sums: dict[str, int] = {}
    for row in made.rows:
        label = label_of(made.group_by[0], row[made.group_by[0]])
        sums[label] = sums.get(label, 0) + row[name]
    longest = max(sums.values(), default=0)
    if longest <= 0:
        return None
    return _drawn(made, name, sums, longest)


def _drawn(made: Report, name: str, sums: Mapping[str, int], longest: int) -> Table:
    drawn = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    drawn.add_column(title_of(made.group_by[0]), overflow="fold")
    drawn.add_column(title_of(name))
    drawn.add_column("", justify="right")
    in_time = DIMENSIONS[made.group_by[0]].in_time
    chosen = list(sums.items())[-_MOST_BARS:] if in_time else list(sums.items())[:_MOST_BARS]
    for label, value in chosen:
        drawn.add_row(Text(label), Text(bar(value, longest), style="cyan"), Text(figure(name, value)))
    return drawn


def bar(value: int, longest: int) -> str:
    """A bar of up to 40 cells, to an eighth of a cell; none for nothing or less."""
    eighths = max(0, value) * _WIDTH * 8 // longest
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
