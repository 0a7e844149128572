"""A report as a file: CSV for programs (the columns of the JSON), a workbook with charts or PDF for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import xlsxwriter

from dcx_ari.services.csv_text import escaped
from dcx_ari.services.errors import Invalid
from dcx_ari.services.parse import suggest
from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.report_pdf import to_pdf
from dcx_ari.services.reports import Report

FileFormat = Literal["csv", "excel", "pdf"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
MEDIA: Mapping[FileFormat, tuple[str, str]] = {
    "csv": ("csv", "text/csv"),
    "excel": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "pdf": ("pdf", "application/pdf"),
}
"""Ending and media type of a file."""
_ALIASES = {"xlsx": "excel"}
_CHARTS = (("calls", "connected", "converted"), ("revenue_cents", "payout_cents", "profit_cents"))
_CHARTED = 30
"""Rows that a chart still shows legibly; the longest first."""


def format_of(text: str) -> FileFormat:
    """Raises Invalid."""
    name = text.strip().lower()
    name = _ALIASES.get(name, name)
    for known in FORMATS:
        if name == known:
            return known
    raise Invalid("format", f"must be json, csv, excel (xlsx) or pdf{suggest(name, FORMATS)}")


def file_name(report: Report, wanted: FileFormat) -> str:
    """`calls-by-buyer-day-2026-01-01-2026-01-31.csv`"""
    names = "-".join(name.replace("_", "-") for name in report.group_by)
    return f"calls-by-{names}-{report.days.first}-{report.days.last}.{MEDIA[wanted][0]}"


def render(report: Report, wanted: FileFormat) -> bytes:
    match wanted:
        case "csv":
            return to_csv(report).encode()
        case "excel":
            return to_xlsx(report)
        case "pdf":
            return to_pdf(report)


def to_csv(report: Report) -> str:
    """Header, a line for each row, and the totals. A cell that a spreadsheet would take for a formula is made text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*report.group_by, *report.figures])
    for row in report.rows:
        writer.writerow([_text(name, row[name]) for name in (*report.group_by, *report.figures)])
    blank = [""] * (len(report.group_by) - 1)
    writer.writerow(["total", *blank, *(_text(name, report.totals[name]) for name in report.figures)])
    return text.getvalue()


def label_of(name: str, value: Any) -> str:
    """A group's name for people."""
    if value is None:
        return "(none)"
    if name == "hour":
        return f"{value:02d}:00"
    if name == "status":
        return str(value).lower().replace("_", "-")
    return str(value)


def title_of(name: str) -> str:
    """`conversion_percent` as a heading."""
    return {"conversion_percent": "conversion %", "rpc_cents": "revenue per call"}.get(
        name, name.removesuffix("_cents").removesuffix("_s").replace("_", " ")
    )


def _text(name: str, value: Any) -> str:
    if name in DIMENSIONS:
        return escaped("" if value is None else str(value))
    return "" if value is None else str(value)


def to_xlsx(report: Report) -> bytes:
    """One sheet with the rows and one with charts. Texts are written as texts: a formula stays one to look at."""
    out = io.BytesIO()
    quiet = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, quiet) as book:
        book.set_properties({"title": "Calls", "comments": f"{report.days.first} to {report.days.last}, {report.zone}"})
        bold, money = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.00"})
        bold_money = book.add_format({"bold": True, "num_format": "#,##0.00"})
        sheet = book.add_worksheet("Report")
        columns = (*report.group_by, *report.figures)
        for x, name in enumerate(columns):
            sheet.write_string(0, x, title_of(name), bold)
        for y, row in enumerate(report.rows, start=1):
            _write(sheet, y, row, columns, None, money)
        last = len(report.rows) + 1
        _write(sheet, last, {report.group_by[0]: "Total", **report.totals}, columns, bold, bold_money)
        sheet.freeze_panes(1, len(report.group_by))
        if report.rows:
            sheet.autofilter(0, 0, last - 1, len(columns) - 1)
            _charts(book, report, columns)
        sheet.set_column(0, len(report.group_by) - 1, 24)
        sheet.set_column(len(report.group_by), len(columns) - 1, 14)
    return out.getvalue()


def _write(sheet: Any, y: int, row: Mapping[str, Any], columns: Sequence[str], plain: Any, money: Any) -> None:
    for x, name in enumerate(columns):
        value = row.get(name)
        if name in DIMENSIONS:
            if y and name in row:
                sheet.write_string(y, x, label_of(name, value), plain)
        elif value is not None:
            number, style = (value / 100, money) if name.endswith("_cents") else (value, plain)
            sheet.write_number(y, x, number, style)


def _charts(book: Any, report: Report, columns: Sequence[str]) -> None:
    levels, rows = len(report.group_by), min(len(report.rows), _CHARTED)
    sheet = book.add_worksheet("Charts")
    in_time = DIMENSIONS[report.group_by[0]].in_time
    for place, names in enumerate(
        (("calls", "connected", "converted"), ("revenue_cents", "payout_cents", "profit_cents"))
    ):
        shown = [name for name in names if name in columns]
        if not shown:
            continue
        chart = book.add_chart({"type": "column" if in_time else "bar"})
        for name in shown:
            x = columns.index(name)
            chart.add_series(
                {
                    "name": title_of(name),
                    "categories": ["Report", 1, 0, rows, levels - 1],
                    "values": ["Report", 1, x, rows, x],
                }
            )
        more = f" (first {rows} of {len(report.rows)})" if rows < len(report.rows) else ""
        chart.set_title({"name": f"{title_of(shown[0]).capitalize()} by {', '.join(report.group_by)}{more}"})
        if not in_time:
            chart.set_y_axis({"reverse": True})
        chart.set_size({"width": 900, "height": max(320, 22 * rows)})
        sheet.insert_chart(place * max(18, rows + 4), 0, chart)
