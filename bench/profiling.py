"""Where the time of a call goes: one subject under cProfile while it carries calls.

    python -m bench.profiling dcx|floor [--rate 50] [--calls 400] [--sort tottime|cumtime] [--lines 40]

cProfile makes small functions look dearer than they are; read the order, not the milliseconds.
"""

import argparse
import asyncio
import io
import pstats
import sys
import tempfile
from pathlib import Path

from bench.bed import bed
from bench.measure import Rig, measure, warm_up
from bench.sipp import Load
from bench.subjects import DCX, FLOOR

SUBJECTS = {"dcx": DCX, "floor": FLOOR}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profiling")
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--rate", type=int, default=50, help="calls per second")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--sort", choices=["tottime", "cumtime", "ncalls"], default="tottime")
    parser.add_argument("--lines", type=int, default=40)
    arguments = parser.parse_args()
    load = Load(arguments.rate, arguments.calls)
    with tempfile.TemporaryDirectory(prefix="dcx-bench-") as folder:
        file = Path(folder) / "profile"
        asyncio.run(profile(arguments.subject, load, file))
        printed = io.StringIO()
        stats = pstats.Stats(str(file), stream=printed).strip_dirs()
        stats.sort_stats(arguments.sort).print_stats(arguments.lines)
        print(printed.getvalue())


async def profile(name: str, load: Load, file: Path) -> None:
    """Carry the load with the profiler around the subject's program; its figures land in `file`."""
    subject = SUBJECTS[name]
    profiler = [sys.executable, "-m", "cProfile", "-o", str(file)]
    async with bed(profiler) as asterisk, subject.start(asterisk) as work:
        rig = Rig(asterisk, subject, work)
        await warm_up(rig)
        figures, complaint = await measure(rig, load)
        print(f"{load.calls} calls at {load.rate}/s under the profiler: {figures} {complaint}")


if __name__ == "__main__":
    main()
