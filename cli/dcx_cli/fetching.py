"""Progress of a fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dcx_asterisk.fetch import Progress as Step

_WORDS = {
    "waiting": "Waiting for another fetch",
    "index": "Reading the package index",
    "download": "Downloading",
    "unpack": "Unpacking",
}


@contextmanager
def fetch_progress() -> Iterator[Callable[[Step], None]]:
    """A function to report the steps of a fetch to; a bar on a terminal, a line per step elsewhere."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    seen: set[tuple[str, str]] = set()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", visible=False, total=None)

        def report(step: Step) -> None:
            words = _WORDS.get(step.step)
            if words is None:
                bar.update(task, visible=False)
                return
            text = f"{words} ({step.package_set})"
            if not console.is_terminal and (step.package_set, step.step) not in seen:
                console.print(f"{text}…", highlight=False)
            seen.add((step.package_set, step.step))
            bar.update(task, visible=True, description=text, completed=step.done, total=step.total or None)

        yield report
