"""The whole-call findings as tables, and the goals they are held against."""

from bench.findings import Findings, Plan
from bench.subjects import DCX, DCX_ONE, FLOOR, GOAL_RATE, PLAIN, SUBJECTS, TITLES
from bench.table import Row, Section, markdown_table, number, ratio

GOALS = (
    (DCX_ONE, "setup p50", "ms", "p50", 1.5),
    (DCX_ONE, "setup p99", "ms", "p99", 2.0),
    (DCX_ONE, "app CPU per call", "ms", "app_cpu", 2.5),
    (DCX, "app CPU per call", "ms", "app_cpu", 2.5),
)


def describe(plan: Plan, findings: Findings) -> Section:
    """Three tables (rates, memory, media), the goal rows, the notes and the failures."""
    tables = [rate_table(plan, findings)]
    if findings.live:
        tables.append(live_table(findings))
    if findings.media:
        tables.append(media_table(plan, findings))
    return Section("Whole calls", goal_rows(findings), notes(plan, findings), tables, findings.failures)


def rate_table(plan: Plan, findings: Findings) -> str:
    head = [
        "calls/s",
        "through",
        "setup p50 ms",
        "p95",
        "p99",
        "failed",
        "Asterisk CPU ms/call",
        "app CPU ms/call",
    ]
    body = []
    for load in plan.rates:
        for subject in SUBJECTS:
            run = findings.middle(subject, load.rate)
            if run is None:
                continue
            app_cpu = "–" if subject is PLAIN else number(run.app_cpu)
            failed = f"{run.failed:.0f} of {load.calls * plan.repetitions}"
            times = [number(run.p50), number(run.p95), number(run.p99)]
            body.append([str(load.rate), subject.title, *times, failed, number(run.asterisk_cpu), app_cpu])
    return markdown_table(head, body, left=2)


def live_table(findings: Findings) -> str:
    head = ["100 live calls, signalling only", "Asterisk grows by MB", "app grows by MB"]
    body = [
        [TITLES[name], number(asterisk), "–" if name == PLAIN.name else number(app)]
        for name, (asterisk, app) in findings.live.items()
    ]
    return markdown_table(head, body)


def media_table(plan: Plan, findings: Findings) -> str:
    head = [
        f"{plan.media.calls} concurrent calls with RTP",
        "setup p50 ms",
        "p99",
        "failed",
        "legs with audio both ways",
    ]
    head += ["Asterisk CPU ms per call and second", "app CPU ms per call and second"]
    body = [
        [
            TITLES[name],
            number(run.p50),
            number(run.p99),
            number(run.failed),
            f"{media.talking} of {2 * plan.media.calls}",
            number(media.asterisk_cpu),
            "–" if name == PLAIN.name else number(media.app_cpu),
        ]
        for name, (run, media) in findings.media.items()
    ]
    return markdown_table(head, body)


def goal_rows(findings: Findings) -> list[Row]:
    """DCX beside the floor at the goal's rate; no row where either was not measured."""
    rival = findings.middle(FLOOR, GOAL_RATE)
    rows = []
    for ours in (DCX_ONE, DCX):
        run = findings.middle(ours, GOAL_RATE)
        if run is not None and rival is not None:
            where = f"{GOAL_RATE} calls/s, {ours.title}"
            rows.append(
                Row(where, "failed calls", "", run.failed, rival.failed, "floor", None, "none", run.failed == 0)
            )
    for ours, figure, unit, name, limit in GOALS:
        run = findings.middle(ours, GOAL_RATE)
        if run is None or rival is None:
            continue
        times = ratio(getattr(run, name), getattr(rival, name))
        met = times is not None and times <= limit
        where, goal = f"{GOAL_RATE} calls/s, {ours.title}", f"≤ {limit:g}× the floor's"
        rows.append(Row(where, figure, unit, getattr(run, name), getattr(rival, name), "floor", times, goal, met))
    return rows


def notes(plan: Plan, findings: Findings) -> list[str]:
    repeated = f"median of {plan.repetitions} runs, taken in turn" if plan.repetitions > 1 else "one short run each"
    return [
        findings.versions or "Asterisk did not start.",
        f"Two legs, 2 s talk, {repeated}; calls per run: "
        + ", ".join(f"{load.calls} at {load.rate}/s" for load in plan.rates)
        + ". Setup is INVITE to 200 as the caller's SIPp times it; the buyer answers at once.",
        "A call counts as failed unless both ends saw it from INVITE to BYE.",
        "SIPp, caller and buyer, runs on the same cores and takes its share of them: the figures compare the"
        " subjects with each other and are not what a machine of its own would carry.",
        "All of them run at a raised priority where the bench is allowed to (root).",
        "CPU is user + system time of the process over the run and 0.7 s after it, divided by its calls.",
        "The floor (bench/floor.py) originates, answers, bridges and hangs up, takes every event Asterisk"
        " sends (no filter), and keeps nothing.",
        "DCX books conversion, revenue, payout and cost of every call, writes rows and events to SQLite, records"
        " nothing; its books are checked after the last rate. With 100 buyers in four tiers each call takes nine"
        " holds of caps besides.",
        "The floor is measured beside both; its figures are the middle of all its runs.",
    ]
