"""Start a program of a tree, and end it for certain."""

import asyncio
import contextlib
import ctypes
import os
import signal
from pathlib import Path

from dcx_asterisk.tree import Tree

_PR_SET_PDEATHSIG = 1  # prctl(2)


async def spawn(
    tree: Tree, argv: list[str], *, folder: Path, output: Path, die_with_parent: bool
) -> asyncio.subprocess.Process:
    """Run `argv` (from `tree.command`) in `folder` as a session of its own, its output in a new file
    `output`.

    `die_with_parent`: the kernel kills it when the thread that called us dies, even by kill -9.
    """
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=tree.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            preexec_fn=killed_with_parent if die_with_parent else None,
        )
    finally:
        os.close(descriptor)


async def end(process: asyncio.subprocess.Process, timeout_s: float = 3) -> None:
    """SIGTERM, and after `timeout_s` SIGKILL. Idempotent."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), timeout_s)


def killed_with_parent() -> None:
    """For `preexec_fn`: the kernel kills the process when the thread that started it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
