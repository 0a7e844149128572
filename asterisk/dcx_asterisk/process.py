"""Start, adopt, ask and stop one Asterisk.

    async with running(Instance(home=Path("…"))) as asterisk:
        asterisk.ari_url, asterisk.ari_user, asterisk.ari_password

A started Asterisk is a process group of its own: signals to the terminal do not reach it, and it outlives us
if we are killed, so that calls go on; the next `start` with the same home finds and adopts it.
"""

import asyncio
import contextlib
import logging
import os
import signal
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from dcx_asterisk.errors import CommandFailed, StartFailed
from dcx_asterisk.fetch import Progress, ensure
from dcx_asterisk.instance import Instance
from dcx_asterisk.ports import check_ports
from dcx_asterisk.render import Secrets, render, secrets_of
from dcx_asterisk.spawn import spawn
from dcx_asterisk.tree import Tree

log = logging.getLogger(__name__)

_PING_S = 5.0
_PINGS = 3
_SILENT = -1


@dataclass(frozen=True)
class Asterisk:
    """A running Asterisk. `adopted`: it ran before we came."""

    instance: Instance
    tree: Tree
    secrets: Secrets
    pid: int
    adopted: bool
    process: asyncio.subprocess.Process | None = None

    @property
    def ari_url(self) -> str:
        return self.instance.ari_url

    @property
    def ari_user(self) -> str:
        return self.secrets.ari_user

    @property
    def ari_password(self) -> str:
        return self.secrets.ari_password

    @property
    def ami_host(self) -> str:
        return "127.0.0.1" if self.instance.ari_bind == "0.0.0.0" else self.instance.ari_bind  # noqa: S104

    @property
    def ami_port(self) -> int:
        return self.instance.ami_port

    @property
    def ami_user(self) -> str:
        return self.secrets.ami_user

    @property
    def ami_secret(self) -> str:
        return self.secrets.ami_secret

    @property
    def alive(self) -> bool:
        """Whether the process still exists."""
        if self.process is not None:
            return self.process.returncode is None
        return _is_asterisk(self.pid, self.instance)

    async def command(self, line: str, timeout_s: float = 10) -> str:
        """What the command line of Asterisk answers to `line` (like "core show channels"). Raises
        CommandFailed."""
        return await _remote(self.instance, self.tree, line, timeout_s)

    async def rotate_log(self, limit_bytes: int = 20_000_000) -> bool:
        """Start a new log file if the present one has grown past the limit; whether it was done. Old ones are
        numbered."""
        messages = self.instance.log / "messages"
        if not messages.exists() or messages.stat().st_size < limit_bytes:
            return False
        await self.command("logger rotate")
        for old in self.instance.log.glob("messages.*"):
            if old.suffix[1:].isdigit() and int(old.suffix[1:]) > 3:
                old.unlink(missing_ok=True)
        return True

    async def stop(self, timeout_s: float = 5) -> None:
        """End it: live calls are hung up, then the process is told to go, and after `timeout_s` killed.
        Idempotent."""
        if self.alive:
            with contextlib.suppress(CommandFailed):
                await self.command("core stop now", timeout_s)
            if not await self._gone(timeout_s):
                await self.kill()
        self.instance.pid_file.unlink(missing_ok=True)

    async def kill(self) -> None:
        """End it at once, also where it does not answer. Idempotent."""
        if self.alive:
            self._signal(signal.SIGKILL)
            await self._gone(5)

    async def _gone(self, timeout_s: float) -> bool:
        if self.process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), timeout_s)
            return self.process.returncode is not None
        for _ in range(max(1, round(timeout_s / 0.05))):
            if not self.alive:
                return True
            await asyncio.sleep(0.05)
        return not self.alive

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Wedged(StartFailed):
    """An Asterisk lives and does not answer."""

    def __init__(self, asterisk: Asterisk) -> None:
        super().__init__(
            f"the Asterisk of {asterisk.instance.home} (process {asterisk.pid}) lives, but has not answered for "
            f"{_PINGS * _PING_S:g} s",
            f"End it: kill -9 {asterisk.pid}",
        )
        self.asterisk = asterisk


async def start(
    instance: Instance,
    report: Callable[[Progress], None] = lambda _: None,
    *,
    die_with_parent: bool = False,
    timeout_s: float = 30,
) -> Asterisk:
    """A running, fully booted Asterisk for this home: fetched if need be, adopted if it runs already; one that runs
    and has not answered for 15 s is killed.

    `die_with_parent` is for demos and tests: the kernel ends it when the thread that called us dies. Raises
    AsteriskError (NoMirror, FetchFailed, PortTaken, StartFailed), never with a process left running.
    """
    tree = await asyncio.to_thread(ensure, "engine", report)
    try:
        if adopted := await adopt(instance, tree):
            return adopted
    except Wedged as error:
        log.error("%s", error)
        await error.asterisk.kill()
    check_ports(instance)
    known = render(instance, tree.root)
    process = await spawn(
        tree,
        tree.command("asterisk", "-C", instance.configuration, "-f", "-n"),
        folder=instance.home,
        output=instance.log / "console",
        die_with_parent=die_with_parent,
    )
    asterisk = Asterisk(instance, tree, known, process.pid, adopted=False, process=process)
    try:
        await _until_ready(asterisk, timeout_s)
        instance.pid_file.write_text(f"{process.pid}\n", encoding="ascii")
    except BaseException:
        asterisk._signal(signal.SIGKILL)
        await asterisk._gone(5)
        raise
    return asterisk


async def adopt(instance: Instance, tree: Tree) -> Asterisk | None:
    """The Asterisk of this home that runs already and answers, or None. One that is just ending is waited
    for. Raises Wedged, StartFailed where one runs and does not answer."""
    try:
        pid = int(instance.pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    found = Asterisk(instance, tree, secrets_of(instance), pid, adopted=True)
    if not found.alive:
        return None
    status = await _ari_status(found)
    for _ in range(_PINGS - 1):
        if status == _SILENT:
            status = await _ari_status(found)
    if status == _SILENT:
        raise Wedged(found)
    if status == 200:
        return found
    if status == 503 and await found._gone(15):  # it is shutting down
        return None
    raise StartFailed(
        f"an Asterisk of this home runs as process {pid} but does not answer at {found.ari_url} (status {status})",
        f"If the ports were changed, that is why. End it (kill {pid}) and try again.",
    )


async def _ari_status(asterisk: Asterisk) -> int:
    """HTTP status of an ARI ping; 0 where there was none, _SILENT where somebody listens and says nothing."""
    timeout = aiohttp.ClientTimeout(total=_PING_S)
    known = b64encode(f"{asterisk.ari_user}:{asterisk.ari_password}".encode()).decode()
    headers = {"Authorization": f"Basic {known}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{asterisk.ari_url}/asterisk/ping") as answer,
        ):
            return answer.status
    except TimeoutError:
        return _SILENT
    except (aiohttp.ClientError, OSError):
        return 0


@asynccontextmanager
async def running(
    instance: Instance, report: Callable[[Progress], None] = lambda _: None, *, die_with_parent: bool = True
) -> AsyncIterator[Asterisk]:
    """Start (or adopt) it, and stop it at the end."""
    asterisk = await start(instance, report, die_with_parent=die_with_parent)
    try:
        yield asterisk
    finally:
        await asterisk.stop()


async def _until_ready(asterisk: Asterisk, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        if not asterisk.alive:
            raise StartFailed(
                f"Asterisk ended at once\n{_tail(asterisk.instance)}", f"Its log is {asterisk.instance.log}."
            )
        try:
            said = await asterisk.command("core waitfullybooted", max(0.1, deadline - loop.time()))
            booted = "fully booted" in said and await _ari_status(asterisk) == 200
        except CommandFailed:
            booted = False
        if booted:
            return
        if loop.time() > deadline:
            raise StartFailed(
                f"Asterisk is not ready after {timeout_s:g} s\n{_tail(asterisk.instance)}",
                f"Its log is {asterisk.instance.log}.",
            )
        await asyncio.sleep(0.05)


async def _remote(instance: Instance, tree: Tree, line: str, timeout_s: float) -> str:
    if not (instance.run / "asterisk.ctl").exists():
        raise CommandFailed("Asterisk is not there: it has no control socket")
    process = await asyncio.create_subprocess_exec(
        *tree.command("asterisk", "-C", instance.configuration, "-rx", line),
        env=tree.environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        raise CommandFailed(f"Asterisk did not answer {line!r} within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    if process.returncode != 0:
        raise CommandFailed(f"Asterisk refused {line!r}: {text.strip()[:300]}")
    return text


def _is_asterisk(pid: int, instance: Instance) -> bool:
    """Whether the process is the Asterisk of this home, not one that got its number later."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        zombie = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return False
    return os.fsencode(instance.configuration) in arguments and not zombie


def _tail(instance: Instance, lines: int = 12) -> str:
    texts: list[str] = []
    for name in ("console", "messages"):
        with contextlib.suppress(OSError):
            texts += (instance.log / name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(texts)
