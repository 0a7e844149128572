"""SIPp as caller and as buyer: one load run, and what it measured."""

import asyncio
import csv
import math
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ports

SCENARIOS = Path(__file__).with_name("scenarios")
BUYER_HOST = "127.0.0.12"
AREA_CODES = ("512", "212", "305", "415", "602")


@dataclass(frozen=True, slots=True)
class Load:
    """`calls` calls at `rate` per second, each talking `talk_ms`; with `media` both send a tone.

    `again`: how many calls more than these may reach the buyer, because some are dialled twice.
    """

    rate: int
    calls: int
    talk_ms: int = 2000
    media: bool = False
    again: int = 0

    @property
    def limit_s(self) -> float:
        """When a run is given up: its own length and half a minute."""
        return self.calls / self.rate + self.talk_ms / 1000 + 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """Setup times (INVITE to 200, ms, one per answered call) and how many calls were not whole.

    A call is whole if the caller and the buyer both saw it from INVITE to BYE: a call that some fallback
    answered is a failure.
    """

    setup_ms: list[float]
    failed: int
    complaint: str = ""


async def run_load(
    sipp: Sequence[str],
    load: Load,
    caller_host: str,
    target: str,
    number: str,
    during: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """Place the calls of `load` from `caller_host` to `number` at `target` (host:port).

    `sipp` is the command that starts SIPp; `during` runs beside the calls from their start. Raises
    TimeoutError if SIPp does not come to an end.
    """
    with tempfile.TemporaryDirectory(prefix="dcx-bench-") as folder:
        work = Path(folder)
        prepare(work)
        common = ["-nostdin", "-timeout", f"{math.ceil(load.limit_s)}s", "-trace_stat", "-fd", "1"]
        kind = "_rtp" if load.media else ""
        buyer = [*sipp, "-sf", f"uas{kind}.xml", "-i", BUYER_HOST, "-p", str(ports.BUYER), *common]
        buyer += ["-m", str(load.calls + load.again), "-stf", "uas.csv", *rtp_ports(ports.BUYER_RTP)]
        caller = [*sipp, "-sf", f"uac{kind}.xml", "-i", caller_host, "-p", str(ports.CALLER), *common]
        caller += ["-m", str(load.calls), "-r", str(load.rate), "-l", "5000", "-d", str(load.talk_ms)]
        caller += ["-s", number, "-stf", "uac.csv", "-trace_rtt", "-rtt_freq", "1", "-timeout_error"]
        caller += ["-inf", "callers.csv", *rtp_ports(ports.CALLER_RTP), target]
        async with process(buyer, work, "uas.log") as answering:
            await asyncio.sleep(0.3)  # SIPp says nothing when its socket is open
            async with process(caller, work, "uac.log") as calling, asyncio.timeout(load.limit_s + 5):
                if during is not None:
                    await during()
                await calling.wait()
            await finish(answering)
        return outcome(work, load.calls)


def prepare(work: Path) -> None:
    """Scenarios, who calls and the tone they talk with, in a folder of the run's own (SIPp writes beside them)."""
    for scenario in SCENARIOS.glob("*.xml"):
        shutil.copy(scenario, work)
    numbers = [f"+1{AREA_CODES[n % len(AREA_CODES)]}557{n:04d};" for n in range(10_000)]
    (work / "callers.csv").write_text("\n".join(["SEQUENTIAL", *numbers]) + "\n")
    (work / "tone.ul").write_bytes(bytes(ulaw(9000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(8000)))


def ulaw(sample: float) -> int:
    """One 16-bit linear sample as G.711 µ-law (ITU-T G.711, table 2)."""
    magnitude = min(int(abs(sample)), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def rtp_ports(span: tuple[int, int]) -> list[str]:
    return ["-min_rtp_port", str(span[0]), "-max_rtp_port", str(span[1])]


@asynccontextmanager
async def process(command: Sequence[str], work: Path, log: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that is gone when the block is left, whatever happened; its output goes to `log`."""
    with (work / log).open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *command, cwd=work, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def finish(answering: asyncio.subprocess.Process) -> None:
    """Let the buyer's SIPp end by itself; where calls never came, ask it to write its figures and go."""
    try:
        async with asyncio.timeout(2):
            await answering.wait()
    except TimeoutError:
        answering.terminate()
        try:
            async with asyncio.timeout(3):
                await answering.wait()
        except TimeoutError:
            return


def outcome(work: Path, calls: int) -> Outcome:
    """Read what the two SIPp wrote."""
    setup_ms: list[float] = []
    for trace in work.glob("uac*_rtt.csv"):
        with trace.open(newline="") as lines:
            setup_ms += [float(row["response_time_ms"]) for row in csv.DictReader(lines, delimiter=";")]
    whole = min(successes(work / "uac.csv"), successes(work / "uas.csv"))
    failed = calls - min(whole, len(setup_ms))
    return Outcome(setup_ms, failed, complaint(work / "uac.log") if failed else "")


def successes(statistics: Path) -> int:
    """Calls that went through the scenario to its end."""
    if not statistics.exists():
        return 0
    with statistics.open(newline="") as lines:
        return max((int(row["SuccessfulCall(C)"]) for row in csv.DictReader(lines, delimiter=";")), default=0)


def complaint(log: Path) -> str:
    """The first line in which SIPp says what went wrong, without its time stamps."""
    for line in log.read_text(errors="replace").splitlines():
        if "\t" in line and ":" in line:
            return line.rpartition("\t")[2].split(": ", 1)[-1][:200]
    return ""
