"""What the whole-call bench plans and what it has found so far."""

import sys
from dataclasses import dataclass, field

from bench.measure import Media, Run
from bench.sipp import Load
from bench.subjects import Subject
from bench.table import median


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: each rate as often as `repetitions`, in turn for every subject; then memory and media."""

    rates: tuple[Load, ...]
    repetitions: int
    media: Load
    live: Load | None


FULL = Plan((Load(20, 60), Load(50, 300), Load(100, 300)), 3, Load(50, 50, 6000, True), Load(100, 100, 2500))
QUICK = Plan((Load(50, 120),), 1, Load(50, 50, 3500, True), None)


@dataclass(slots=True)
class Findings:
    """Everything measured so far, by subject (and rate); and what went wrong."""

    runs: dict[tuple[str, int], list[Run]] = field(default_factory=dict)
    live: dict[str, tuple[float, float]] = field(default_factory=dict)
    media: dict[str, tuple[Run, Media]] = field(default_factory=dict)
    versions: str = ""
    failures: list[str] = field(default_factory=list)

    def fail(self, subject: Subject, load: str, trouble: BaseException | str) -> None:
        text = f"{subject.title}, {load}: {trouble or type(trouble).__name__}"
        self.failures.append(text)
        say(f"failed: {text}")

    def middle(self, subject: Subject, rate: int) -> Run | None:
        """The median of each figure over the repetitions; failures are summed."""
        runs = self.runs.get((subject.name, rate))
        if not runs:
            return None
        return Run(
            median([run.p50 for run in runs]),
            median([run.p95 for run in runs]),
            median([run.p99 for run in runs]),
            failed=sum(run.failed for run in runs),
            asterisk_cpu=median([run.asterisk_cpu for run in runs]) or 0.0,
            app_cpu=median([run.app_cpu for run in runs]) or 0.0,
        )


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
