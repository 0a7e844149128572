"""What `dcx up`, `dcx run` and `dcx demo` share: progress of a fetch, logging, serving until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dcx_ari.access import AsteriskAccess
from dcx_ari.app import engine
from dcx_ari.local import stop_on_signals
from dcx_ari.settings import Settings
from dcx_asterisk.fetch import Progress as Step

_WORDS = {
    "waiting": "Waiting for another fetch",
    "index": "Reading the package index",
    "download": "Downloading",
    "unpack": "Unpacking",
}


def set_up_logging(settings: Settings) -> None:
    """Our own log at the level asked for, everybody else's warnings; to standard error."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    logging.getLogger("dcx_ari").setLevel(settings.log_level.upper())


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


async def serve(settings: Settings, access: AsteriskAccess) -> None:
    """Run the engine until Ctrl-C or SIGTERM; says `ready` when a call can be taken."""
    # The thread that writes the database asks for the interpreter thousands of times a second; with the default
    # of 5 ms each time could cost that much of a caller's patience.
    sys.setswitchinterval(0.0005)
    stop = asyncio.Event()
    async with engine(settings, access) as made:
        with stop_on_signals(stop):
            running = asyncio.create_task(made.run(stop))
            ready = asyncio.create_task(made.until_ready())
            await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not running.done() and ready.exception() is None:
                _settle_memory()
                print(_ready_line(settings), flush=True)
            elif ready.done() and not running.done():
                stop.set()
            ready.cancel()
            await running
            if ready.done() and not ready.cancelled() and (error := ready.exception()) is not None:
                raise error


def _settle_memory() -> None:
    """Keep what lives as long as the process out of the collector's sight: a full collection would stop every
    call for some 50 ms to look at it again. What a call makes is freed by its reference counts, so that looking for
    cycles every 700 objects, many times a call, finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _ready_line(settings: Settings) -> str:
    return (
        f"ready: SIP {settings.sip_host}:{settings.sip_port}, API http://{settings.api_host}:{settings.api_port}, "
        f"home {settings.home}"
    )
