"""What a process used, read from /proc: processor time, resident memory, and who its children are."""

import os
from collections.abc import Iterable
from pathlib import Path

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, so that [0] is the state; [] when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    parents = {
        int(entry.name): int(fields[1])
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (fields := stat(int(entry.name)))
    }
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_ms(pids: Iterable[int]) -> float:
    """User and system time of these processes so far, in ms, in steps of one clock tick (10 ms)."""
    return sum((int(fields[11]) + int(fields[12])) * TICK_MS for pid in pids if (fields := stat(pid)))


def rss_mb(pids: Iterable[int]) -> float:
    """Resident memory of these processes, in MiB; pages they share are counted for each."""
    return sum(int(fields[21]) * PAGE_MB for pid in pids if (fields := stat(pid)))
