"""A real SIP phone (baresip) that a test or demo can drive: it talks with a tone of its own and records what
it hears.

    async with Phone(tree, folder, port=21600, name="buyer", tone_hz=700) as phone:
        await phone.dial("sip:+15550100@127.0.0.1:5060")
        await phone.wait("CALL_ESTABLISHED")
        await phone.digits("1")
        await phone.hangup()
        phone.hears(440)            # amplitude of the other side's tone in what this phone recorded

Without a registration it is a device that anybody on loopback can call at `phone.uri`, whatever the user
part: a carrier, or a buyer behind a trunk. With one it is an agent's phone.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dcx_ari.media.tones import RATE, heard, sine, write_wav
from dcx_asterisk.errors import CommandFailed, StartFailed
from dcx_asterisk.netstring import Control
from dcx_asterisk.spawn import end, spawn
from dcx_asterisk.tree import Tree

PORTS = 20  # a phone takes this many ports: SIP, SIP over TLS, control, media of up to seven calls
_DIGIT_GAP_S = 0.12  # baresip sends an event for as long as the next digit lets it

_RENEGOTIATED_S = 0.3
# What is heard is recorded by a filter (sndfile) that ends at a hold. The player that could record all of it
# (aufile) is taken only afterwards: when a hold is negotiated, 1.1.0 stops a player it has just started, and
# this one then crashes.
_SILENT_PLAYER = "aubridge,nobody"

_CONFIG = """\
module_path {modules}
sip_listen {host}:{port}
ctrl_tcp_listen 127.0.0.1:{control}
rtp_ports {first}-{last}
call_max_calls 6
call_local_timeout 120
audio_source aufile,{talk}
audio_player aubridge,nobody
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_path {folder}
statmode_default off
snd_path {folder}
module uuid.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module account.so
module_app menu.so
module_app ctrl_tcp.so
"""


@dataclass(frozen=True)
class Registration:
    """Where an agent's phone registers: `host:port` of the registrar, and its credentials."""

    registrar: str
    user: str
    password: str


@dataclass(frozen=True)
class PhoneEvent:
    """What baresip reported: CALL_INCOMING, CALL_RINGING, CALL_PROGRESS, CALL_ESTABLISHED, CALL_CLOSED
    (`text` is the reason), CALL_DTMF_START (`text` is the digit), REGISTER_OK, …; CLOSED when the phone
    itself has gone."""

    kind: str
    text: str = ""
    call_id: str = ""
    peer: str = ""
    at: float = field(default_factory=time.monotonic)


class Phone:
    """One phone process. `port` is the first of `PORTS` ports on 127.0.0.1. `answer`: `auto` takes every call
    at once, `reject` answers 486 Busy Here, `manual` rings until somebody calls `accept`."""

    def __init__(
        self,
        tree: Tree,
        folder: Path,
        port: int,
        *,
        host: str = "127.0.0.1",
        name: str = "phone",
        tone_hz: float = 440,
        answer: Literal["manual", "auto", "reject"] = "manual",
        registration: Registration | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.folder = folder
        self.answer = answer
        self.events: list[PhoneEvent] = []
        self._tree = tree
        self._tone_hz = tone_hz
        self._registration = registration
        self._read = 0
        self._ended: float | None = None
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[str]] = set()
        self._resumed = 0
        self._control = Control(self._on_event, self._on_closed)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def uri(self) -> str:
        """Where it can be called; any user part is taken."""
        return f"sip:{self.name}@{self.host}:{self.port}"

    @property
    def heard(self) -> Path | None:
        """What it heard in its last (or present) call: 8 kHz mono WAV of what arrived, so without the times
        when nothing did. One file per call, unless two calls begin within one second: they share it."""
        files = [*self.folder.glob("dump-*-dec.wav"), *self.folder.glob("resumed-*.wav")]
        return max(files, key=lambda path: path.stat().st_mtime_ns, default=None)

    async def start(self, timeout_s: float = 10) -> None:
        """Start it; it can be called, and has registered if it should, when this returns."""
        self._write_files()
        self._process = await spawn(
            self._tree,
            self._tree.command("baresip", "-f", self.folder),
            folder=self.folder,
            output=self.folder / "log",
            die_with_parent=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                await self._connect()
                # Asked, not waited for: it may have registered before we were connected to hear of it.
                while self._registration and "OK" not in await self.command("reginfo"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except (TimeoutError, CommandFailed):
            await self.stop()
            raise StartFailed(f"the phone {self.name} did not start\n{self._log_tail()}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hang up everything and end the process. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._process is not None and self._process.returncode is None:
            try:
                await self._control.command("quit", timeout_s=1)
                await asyncio.wait_for(self._process.wait(), 2)
            except (CommandFailed, TimeoutError):
                await end(self._process)
        await self._control.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def command(self, name: str, parameters: str = "") -> str:
        """Any other command of baresip (see its `help`)."""
        return await self._control.command(name, parameters)

    async def dial(self, uri: str) -> None:
        """Call somebody; CALL_RINGING, CALL_ESTABLISHED or CALL_CLOSED follow."""
        await self.command("dial", uri)

    async def accept(self) -> None:
        """Answer the ringing call."""
        await self.command("accept")

    async def hangup(self) -> None:
        """End the call; an incoming one that still rings is answered 486 Busy Here."""
        await self.command("hangup")

    async def hold(self) -> None:
        """Put the other side on hold."""
        await self.command("auplay", _SILENT_PLAYER)
        await self.command("hold")

    async def resume(self) -> None:
        """End the hold. From here on it records into a new file."""
        await self.command("auplay", _SILENT_PLAYER)
        with contextlib.suppress(CommandFailed):  # 1.1.0 says "Invalid argument" and resumes
            await self.command("resume")
        await asyncio.sleep(_RENEGOTIATED_S)
        self._resumed += 1
        await self.command("auplay", f"aufile,{self.folder}/resumed-{self._resumed}.wav")

    async def digits(self, digits: str) -> None:
        """Press keys (RFC 4733 events), about four a second."""
        for digit in digits:
            await self.command("sndcode", digit)
            await asyncio.sleep(2 * _DIGIT_GAP_S)

    async def talk(self, tone_hz: float) -> None:
        """Change the tone it talks with, in this call and later ones."""
        path = self.folder / f"talk-{tone_hz:g}.wav"
        _write_talk(path, tone_hz)
        await self.command("ausrc", f"aufile,{path}")

    async def wait(self, *kinds: str, timeout_s: float = 10) -> PhoneEvent:
        """The next event of one of these kinds; what happened before it is passed over. Raises TimeoutError,
        saying what was seen."""
        start = self._read
        try:
            async with asyncio.timeout(timeout_s):
                async for event in self:
                    if event.kind in kinds:
                        return event
        except TimeoutError:
            seen = ", ".join(event.kind for event in self.events[start:]) or "nothing"
            raise TimeoutError(f"{self.name}: no {' or '.join(kinds)} within {timeout_s:g} s, but {seen}") from None
        raise CommandFailed(f"the phone {self.name} has gone\n{self._log_tail()}")

    async def __aiter__(self) -> AsyncIterator[PhoneEvent]:
        """Events as they come, each once, until the phone goes."""
        while True:
            while self._read < len(self.events):
                event = self.events[self._read]
                self._read += 1
                yield event
                if event.kind == "CLOSED":
                    return
            self._news.clear()
            await self._news.wait()

    def hears(self, tone_hz: float, from_s: float = 0.0, to_s: float | None = None) -> float:
        """Amplitude of a tone in what it heard in its last (or present) call.

        `from_s` and `to_s` are seconds of the recording; a negative `from_s` is a time before now (or before
        the end of a call that is over), and then times when nothing arrived count as silence.
        """
        path = self.heard
        if path is None:
            return 0.0
        if from_s >= 0:
            return heard(path, tone_hz, from_s, to_s)
        late = 0.3 if path.name.startswith("resumed") else 0.04  # how far the file may lag behind the sound
        silent = max(0.0, (self._ended or time.time()) - path.stat().st_mtime - late)
        if silent >= -from_s:
            return 0.0
        return heard(path, tone_hz, from_s + silent) * (1 + silent / from_s)

    async def _connect(self) -> None:
        for _ in range(400):
            try:
                await self._control.connect(self.port + 2)
            except OSError:
                if self._process is None or self._process.returncode is not None:
                    raise CommandFailed("it ended at once") from None
                await asyncio.sleep(0.02)
            else:
                return
        raise TimeoutError

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        talk = self.folder / "talk.wav"
        _write_talk(talk, self._tone_hz)
        (self.folder / "config").write_text(
            _CONFIG.format(
                modules=self._tree.path("usr/lib/baresip/modules"),
                host=self.host,
                port=self.port,
                control=self.port + 2,
                first=self.port + 4,
                last=self.port + PORTS - 2,
                talk=talk,
                folder=self.folder,
            ),
            encoding="utf-8",
        )
        mode = "auto" if self.answer == "auto" else "manual"
        options = f"answermode={mode};audio_codecs=PCMU;ptime=20;dtmfmode=rtpevent"
        if one := self._registration:
            account = (
                f"<sip:{one.user}@{one.registrar}>;{options};regint=60;auth_user={one.user};auth_pass={one.password}"
                f';outbound="sip:{one.registrar}"'
            )
        else:
            account = f"<{self.uri}>;{options};regint=0;catchall=yes"
        (self.folder / "accounts").write_text(account + "\n", encoding="utf-8")

    def _on_event(self, message: dict[str, Any]) -> None:
        event = PhoneEvent(
            str(message.get("type", "")),
            str(message.get("param", "")),
            str(message.get("id", "")),
            str(message.get("peeruri", "")),
        )
        self.events.append(event)
        self._news.set()
        if event.kind == "CALL_ESTABLISHED":
            self._ended = None
        elif event.kind == "CALL_CLOSED":
            self._ended = time.time()
            self._later("auplay", _SILENT_PLAYER)
        elif event.kind == "CALL_INCOMING" and self.answer == "reject":
            self._later("hangup", event.call_id)

    def _later(self, name: str, parameters: str) -> None:
        task = asyncio.create_task(self._control.command(name, parameters))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[str]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a phone that has gone answers nothing, and that is no news

    def _on_closed(self) -> None:
        self.events.append(PhoneEvent("CLOSED"))
        self._news.set()

    def _log_tail(self) -> str:
        try:
            return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])
        except OSError:
            return ""


def _write_talk(path: Path, tone_hz: float, seconds: int = 120) -> None:
    """A file to talk from: one second, unfaded at its seams, many times."""
    second = sine(round(tone_hz), 1.0 + 0.02)[80 : 80 + RATE]  # the fades cut off
    talk = second * seconds
    write_wav(path, talk)
