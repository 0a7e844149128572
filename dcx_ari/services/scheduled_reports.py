"""Reports that are sent by themselves: planned, made when they are due, put into the outbox once.

However many processes look, one of them moves `next_run_at` on, in the transaction that writes the mail. After days
in which nobody looked, the latest missed report is made up for, no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.report_times import OF_FREQUENCY, due_now, next_run
from dcx_ari.services.call_view import View
from dcx_ari.services.errors import Invalid, Refused
from dcx_ari.services.find import find
from dcx_ari.services.report_files import MEDIA, file_name, label_of, render, title_of
from dcx_ari.services.reports import Report, Spec, conditions_of, days_of, report, spec_of
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.times import rfc3339, zone_of
from dcx_ari.store.db import Database
from dcx_ari.store.mail import BadMail, Mail, payload, put_mail
from dcx_ari.store.models.scheduled_reports import ScheduledReport

log = logging.getLogger(__name__)

LOOK_MS = 30_000
_SHOWN = 20


async def run_due(database: Database, zone: ZoneInfo, now: int) -> int:
    """Send what is due at `now`; when to look again (both epoch ms). `zone` is the company's. Raises StoreError."""
    async with database.read() as session:
        rows = await _active(session)
    soonest = now + LOOK_MS
    for row in rows:
        due = next_run_of(row, zone)
        if due <= now:
            latest, due = due_now(*_times(row, zone), due, now)
            await _run(database, row, zone, at=latest, now=now, following=due)
        soonest = min(soonest, due)
    return soonest


async def send_now(database: Database, key: str | int, now: int) -> dict[str, Any]:
    """Send one at once, beside its plan. Raises NotFound, Invalid."""
    async with database.read() as session:
        row: Any = await find(session, RESOURCES["scheduled-reports"], key)
        mail = await _mail(session, row, zone_of(session), now)
    async with database.write() as session:
        message_id = await put_mail(session, mail, event="report")
    return {"id": row.id, "name": row.name, "message_id": message_id, "recipients": list(mail.to)}


def next_run_of(row: ScheduledReport, zone: ZoneInfo) -> int:
    """When it is due, epoch ms."""
    if row.next_run_at is not None and row.planned_for == _plan(row, zone):
        return row.next_run_at
    return next_run(*_times(row, zone), row.updated_at)


async def shown(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
    """What a list shows beside what was set: when each is due, when it was made last, and why not."""
    query = select(ScheduledReport).where(col(ScheduledReport.id).in_([row.id for row in rows]))
    return {
        row.id or 0: {
            "next_run_at": rfc3339(next_run_of(row, zone_of(session))) if row.status == "ACTIVE" else None,
            "last_run_at": rfc3339(row.last_run_at) if row.last_run_at is not None else None,
            "last_error": row.last_error,
        }
        for row in (await session.exec(query)).all()
    }


async def check(session: AsyncSession, values: Mapping[str, Any], zone: ZoneInfo) -> None:
    """The report can be made and sent. Raises Invalid, UnknownKey."""
    spec = _spec(values["group_by"], values["date_range"], values["frequency"], values["filter_config"])
    view = View(zone)
    await conditions_of(session, spec.filters, days_of(spec, 86_400_000 * 400, view), view)
    try:
        payload(Mail(values["recipients"], values["name"], ""))
    except BadMail as error:
        raise Invalid("recipients", str(error).removeprefix("to: ")) from None


async def _active(session: AsyncSession) -> list[ScheduledReport]:
    query = select(ScheduledReport).where(col(ScheduledReport.status) == "ACTIVE").order_by(col(ScheduledReport.id))
    return list((await session.exec(query)).all())


async def _run(database: Database, row: ScheduledReport, zone: ZoneInfo, *, at: int, now: int, following: int) -> None:
    """Made outside of the writing transaction, which every call waits for; then claimed and posted in one."""
    mail, error = None, None
    try:
        async with database.read() as session:
            mail = await _mail(session, row, zone, at)
    except (Refused, BadMail) as refused:
        error = str(refused)
        log.error("scheduled report %s: %s", row.id, error)
    table = ScheduledReport
    claim = (
        update(table)
        .where(
            col(table.id) == row.id,
            col(table.version) == row.version,
            col(table.next_run_at).is_not_distinct_from(row.next_run_at),
        )
        .values(next_run_at=following, planned_for=_plan(row, zone), last_run_at=now, last_error=error)
    )
    async with database.write() as session:
        taken = (await session.exec(claim)).rowcount
        if taken and mail is not None:
            await put_mail(session, mail, event="report")


async def _mail(session: AsyncSession, row: ScheduledReport, zone: ZoneInfo, at: int) -> Mail:
    """Raises Invalid, BadMail (too large)."""
    spec = _spec(row.group_by, row.date_range, row.frequency, row.filter_config)
    made = await report(session, spec, View(zone), at)
    content = await asyncio.to_thread(render, made, row.format)  # a workbook takes a while, and calls go on here
    attached = (file_name(made, row.format), MEDIA[row.format][1], content)
    mail = Mail(row.recipients, f"{row.name}: {_days(made)}", _text(row, made), attachments=[attached])
    payload(mail)
    return mail


def _spec(group_by: str, date_range: str, frequency: str, filters: Mapping[str, Sequence[str]]) -> Spec:
    return spec_of(group_by, date_range=date_range or OF_FREQUENCY[frequency], filters=filters)


def _days(made: Report) -> str:
    first, last = made.days.first, made.days.last
    return str(first) if first == last else f"{first} to {last}"


def _text(row: ScheduledReport, made: Report) -> str:
    """The first lines of the report and its totals, for whoever does not open the file."""
    columns = ("calls", "connected", "converted", "revenue_cents", "profit_cents")
    lines = [f"{row.name}", f"Calls by {', '.join(made.group_by)}, {_days(made)} ({made.zone})", ""]
    body = [
        [", ".join(label_of(name, each[name]) for name in made.group_by), *(_cell(name, each) for name in columns)]
        for each in made.rows[:_SHOWN]
    ]
    body.append(["Total", *(_cell(name, made.totals) for name in columns)])
    table = [["", *map(title_of, columns)], *body]
    widths = [max(len(line[x]) for line in table) for x in range(len(columns) + 1)]
    for line in table:
        cells = (text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join((line[0].ljust(widths[0]), *cells)).rstrip())
    more = len(made.rows) - _SHOWN
    lines += ["", f"and {more} more rows: all are in the file."] if more > 0 else ["", "The file has all columns."]
    return "\n".join(lines) + "\n"


def _cell(name: str, values: Mapping[str, Any]) -> str:
    value = values[name]
    return f"{value / 100:,.2f}" if name.endswith("_cents") else f"{value:,}"


def _times(row: ScheduledReport, zone: ZoneInfo) -> tuple[Any, str, str, int, ZoneInfo]:
    return row.frequency, row.time_of_day, row.weekday, row.month_day, ZoneInfo(row.timezone) if row.timezone else zone


def _plan(row: ScheduledReport, zone: ZoneInfo) -> str:
    *times, where = _times(row, zone)
    return " ".join(map(str, [*times, where.key]))
