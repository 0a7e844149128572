"""A report as PDF, to be read and printed: one table over as many pages as it takes."""

from __future__ import annotations

from typing import Any

from fpdf import FPDF
from fpdf.fonts import FontFace

from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.reports import Report

_WIDE = 2.2  # a column of names beside one of figures


def to_pdf(report: Report) -> bytes:
    """Landscape A4. The standard fonts of PDF know Latin-1: other letters are shown as `?`."""
    from dcx_ari.services.report_files import label_of, title_of

    page = FPDF(orientation="landscape", format="A4")
    page.set_title("Calls")
    page.set_margin(12)
    page.add_page()
    page.set_font("Helvetica", "B", 14)
    page.cell(text=_latin(f"Calls by {', '.join(title_of(name) for name in report.group_by)}"))
    page.ln(7)
    page.set_font("Helvetica", size=9)
    page.cell(text=_latin(f"{report.days.first} to {report.days.last}, {report.zone}"))
    page.ln(8)
    columns = (*report.group_by, *report.figures)
    page.set_font("Helvetica", size=7)
    with page.table(
        col_widths=tuple(_WIDE if name in DIMENSIONS else 1 for name in columns),
        text_align=tuple("LEFT" if name in DIMENSIONS else "RIGHT" for name in columns),
        headings_style=FontFace(emphasis="BOLD", fill_color=(235, 235, 235)),
        borders_layout="HORIZONTAL_LINES",
    ) as table:
        heading = table.row()
        for name in columns:
            heading.cell(_latin(title_of(name)))
        for row in report.rows:
            line = table.row()
            for name in columns:
                line.cell(_latin(label_of(name, row[name]) if name in DIMENSIONS else _figure(name, row[name])))
        total = table.row(style=FontFace(emphasis="BOLD"))
        for place, name in enumerate(columns):
            figure = "" if name in DIMENSIONS else _figure(name, report.totals[name])
            total.cell("Total" if place == 0 else figure)
    return bytes(page.output())


def _figure(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_cents"):
        return f"{value / 100:,.2f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
