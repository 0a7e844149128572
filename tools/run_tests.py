"""Run every tier of tests: real calls in one process, the other tests in a second one beside it, one summary.

Real calls mostly wait; the other tests mostly compute. What the second process prints is kept until the first is done.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REAL, OTHERS = ("tests/ari", "tests/sip"), ("tests/unit", "tests/sim")
_COUNT = re.compile(r"(\d+) ([a-z]+)")
_LAST = re.compile(r"^=* ?(.*\b(?:passed|failed|error)\b.*?)(?: in [0-9.]+s.*)?$")


def main() -> int:
    began = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as kept:
        others = subprocess.Popen(_pytest(OTHERS), cwd=ROOT, env=environment, stdout=kept, stderr=subprocess.STDOUT)
        print(f"Real calls ({' '.join(REAL)}); the other tests run meanwhile:", flush=True)
        real = subprocess.Popen(
            _pytest(REAL), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            first = _show(real)
            statuses = [real.wait(), others.wait()]
        finally:
            for process in (real, others):
                process.terminate()
        kept.seek(0)
        print(f"\nThe other tests ({' '.join(OTHERS)}):")
        text = kept.read()
        print(text)
    counts = _counts(first, text.splitlines())
    told = ", ".join(f"{number} {word}" for word, number in counts.items())
    print(f"all tiers: {told or 'no tests'} in {time.monotonic() - began:.0f} s", flush=True)
    return next((status for status in statuses if status), 0)


def _pytest(folders: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "pytest", *folders, *sys.argv[1:]]


def _show(process: subprocess.Popen[str]) -> list[str]:
    """Pass its output on as it comes; the lines."""
    lines: list[str] = []
    if process.stdout is None:
        return lines
    line = ""
    while letter := process.stdout.read(1):  # a dot is not a line yet, and is progress
        sys.stdout.write(letter)
        sys.stdout.flush()
        if letter == "\n":
            lines.append(line)
            line = ""
        else:
            line += letter
    return [*lines, line]


def _counts(*outputs: list[str]) -> dict[str, int]:
    """The sums of what the last lines say: `{"passed": 4100, "rerun": 1}`."""
    sums: dict[str, int] = {}
    for lines in outputs:
        last = next((found[1] for line in reversed(lines) if (found := _LAST.match(line.strip("= ")))), "")
        for number, word in _COUNT.findall(last):
            sums[word] = sums.get(word, 0) + int(number)
    return sums


if __name__ == "__main__":
    sys.exit(main())
