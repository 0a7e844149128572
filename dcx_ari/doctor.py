"""The checks of `dcx doctor` that look at what runs: ports, Asterisk, its interfaces, speech, the engine, Redis.

One check is one small function and a line in `CHECKS`. None of them changes anything.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import wave
from base64 import b64encode
from pathlib import Path

import aiohttp

from dcx_ari.ari.ami import AmiClient
from dcx_ari.ari.errors import AriError
from dcx_ari.call.ports import SpeechUnavailable
from dcx_ari.clock import now_ms
from dcx_ari.local import access_to_foreign, instance_of, read_secrets
from dcx_ari.media.speech import FliteSpeech
from dcx_ari.remote import EngineAway, Remote, api_url
from dcx_ari.services.doctor import Check, Finding, configuration, database, home, python
from dcx_ari.services.outbox_check import outbox
from dcx_ari.settings import Settings
from dcx_ari.store.db import open_database, parse_url
from dcx_ari.store.errors import StoreError
from dcx_ari.store.workers import alive
from dcx_ari.together import SEEN_LATELY_MS
from dcx_asterisk.errors import AsteriskError, CommandFailed, NoMirror, PortTaken
from dcx_asterisk.fetch import present
from dcx_asterisk.instance import Instance
from dcx_asterisk.mirror import find_mirror
from dcx_asterisk.ports import check_ports
from dcx_asterisk.process import Asterisk

_ASK_S = 5.0
_UP = "Start everything: dcx up"


async def programs(settings: Settings) -> Finding:
    """Asterisk in the cache, or where to fetch it from."""
    tree = await asyncio.to_thread(present, "engine")
    if tree is not None:
        version = tree.versions.get("asterisk", "of unknown version")
        return Finding("ok", f"Asterisk {version} is in the cache {tree.root.parent}")
    if settings.ari_url:
        return Finding("ok", f"not fetched: the Asterisk at {settings.ari_url} is used")
    try:
        mirror = await asyncio.to_thread(find_mirror)
    except NoMirror as error:
        return Finding("wrong", error.message, error.hint)
    return Finding("warning", "Asterisk is not fetched yet", f"dcx up fetches it from {mirror.uri}")


async def ports(settings: Settings) -> list[Finding]:
    """Free, or taken by our own Asterisk and engine."""
    found = [] if settings.ari_url else [await asyncio.to_thread(_asterisk_ports, settings)]
    if await _is_dcx(settings):
        found.append(_engine_port(settings))
    elif reason := await asyncio.to_thread(_taken, settings.api_host, settings.api_port):
        mend = "Stop the other program, or set DCX_API_PORT to a free port."
        found.append(Finding("wrong", f"DCX_API_PORT: {settings.api_port} cannot be used: {reason}", mend))
    else:
        found.append(Finding("ok", f"API port {settings.api_port} is free"))
    return found


def _engine_port(settings: Settings) -> Finding:
    if settings.ari_url or _process(instance_of(settings)) is not None:
        return Finding("ok", f"API port {settings.api_port} is served by a running engine")
    mend = "Is it that of another home? Stop it, or set DCX_API_PORT to a free port."
    return Finding("warning", f"an engine serves API port {settings.api_port}, but no Asterisk of this home runs", mend)


def _asterisk_ports(settings: Settings) -> Finding:
    instance = instance_of(settings)
    names = f"SIP {settings.sip_port}, ARI {settings.ari_port}, AMI {settings.ami_port}, RTP {settings.rtp_ports}"
    if _process(instance) is not None:
        return Finding("ok", f"ports of our own Asterisk: {names}")
    try:
        check_ports(instance)
    except PortTaken as error:
        return Finding("wrong", error.message, error.hint)
    return Finding("ok", f"free: {names}")


def _taken(host: str, port: int) -> str | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


async def _is_dcx(settings: Settings) -> bool:
    async with Remote(api_url(settings), timeout_s=_ASK_S) as engine:
        try:
            return await engine.ask("GET", "/health") == (200, {"status": "ok"})
        except EngineAway:
            return False


def _process(instance: Instance) -> Asterisk | None:
    """The running Asterisk of this home, as far as its process tells."""
    tree = present("engine")
    try:
        pid = int(instance.pid_file.read_text(encoding="ascii"))
        secrets = read_secrets(instance)
    except (OSError, ValueError, AsteriskError):
        return None
    found = Asterisk(instance, tree, secrets, pid, adopted=True) if tree is not None else None
    return found if found is not None and found.alive else None


async def asterisk(settings: Settings) -> Finding:
    """The process of this home, and whether it answers on its own console."""
    if settings.ari_url:
        return Finding("ok", f"somebody else runs it, at {settings.ari_url}")
    found = await asyncio.to_thread(_process, instance_of(settings))
    if found is None:
        return Finding("warning", f"no Asterisk of {settings.asterisk_path} runs", _UP)
    try:
        said = await found.command("core show uptime", _ASK_S)
    except CommandFailed as error:
        mend = f"End it (kill {found.pid}) and start again: dcx up. Its log is {found.instance.log}."
        return Finding("wrong", f"process {found.pid} does not answer: {error.message}", mend)
    return Finding("ok", f"process {found.pid}: {' '.join(said.split())}")


async def ari(settings: Settings) -> list[Finding]:
    """Reachable with our password, and our application registered by an engine. Never connects as one."""
    try:
        access = await asyncio.to_thread(access_to_foreign, settings)
    except AsteriskError as error:
        return [_no_password(settings, error)]
    known = b64encode(f"{access.ari_user}:{access.ari_password}".encode()).decode()
    headers = {"Authorization": f"Basic {known}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=_ASK_S)) as session:
        try:
            async with session.get(f"{access.ari_url}/asterisk/info") as answer:
                status = answer.status
                info = await answer.json() if status == 200 else {}
            async with session.get(f"{access.ari_url}/applications/{settings.app_name}") as answer:
                registered = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or "no answer"
            return [Finding("warning" if not settings.ari_url else "wrong", f"{access.ari_url}: {reason}", _UP)]
    if status in (401, 403):
        return [Finding("wrong", f"{access.ari_url} refuses our user", "Compare DCX_ARI_PASSWORD with ari.conf.")]
    if status != 200:
        return [Finding("wrong", f"{access.ari_url} answers {status}", "Is that ARI? See DCX_ARI_URL, DCX_ARI_PORT.")]
    version = info.get("system", {}).get("version", "of unknown version")
    found = [Finding("ok", f"{access.ari_url}: Asterisk {version}")]
    if registered:
        return [*found, Finding("ok", f"application {settings.app_name} is registered")]
    mend = "No engine is connected under this name: dcx up, or dcx run (see DCX_APP_NAME)."
    return [*found, Finding("wrong", f"application {settings.app_name} is not registered", mend)]


def _no_password(settings: Settings, error: AsteriskError) -> Finding:
    if settings.ari_url:
        return Finding("wrong", error.message, error.hint)
    return Finding("warning", f"Asterisk was never started in {settings.asterisk_path}", _UP)


async def ami(settings: Settings) -> Finding:
    """The manager interface, which recordings need."""
    try:
        access = await asyncio.to_thread(access_to_foreign, settings)
    except AsteriskError as error:
        return _no_password(settings, error)
    client = AmiClient(access.ami_host, access.ami_port, access.ami_user, access.ami_secret, timeout_s=_ASK_S)
    try:
        await client.ping()
    except AriError as error:
        refused = "authentication" in str(error).lower()
        mend = "Compare its secret with manager.conf." if refused else f"Recordings need it. {_UP}"
        return Finding("wrong" if refused else "warning", f"port {access.ami_port}: {error}", mend)
    finally:
        await client.close()
    return Finding("ok", f"answers on port {access.ami_port}")


async def speech(settings: Settings) -> Finding:
    """Has the engine really say something."""
    tree = await asyncio.to_thread(present, "engine")
    with tempfile.TemporaryDirectory(prefix="dcx-doctor-") as folder:
        speaker = FliteSpeech(lambda *args: tree.command("flite", *args) if tree else ("flite", *args), Path(folder))
        try:
            uri = await speaker.say("The doctor is in.")
        except SpeechUnavailable as error:
            mend = "It comes with Asterisk: dcx up." if tree is None else f"Delete {tree.root} and run dcx up."
            return Finding("warning" if tree is None else "wrong", str(error), mend)
        with wave.open(f"{uri.removeprefix('sound:')}.wav") as spoken:
            seconds = spoken.getnframes() / spoken.getframerate()
            silent = not any(spoken.readframes(spoken.getnframes()))
    if silent or seconds < 0.3:
        return Finding(
            "wrong", f"flite made {seconds:.1f} s of silence", "Delete the tree in the cache and run dcx up."
        )
    return Finding("ok", f"flite speaks ({seconds:.1f} s of sound)")


async def engine(settings: Settings) -> Finding:
    """A running engine of these settings, and whether it can take calls."""
    url = api_url(settings)
    async with Remote(url, timeout_s=_ASK_S) as api:
        try:
            status, health = await api.ask("GET", "/health")
            if (status, health) != (200, {"status": "ok"}):
                return Finding("wrong", f"what answers at {url} is not DCX", "Set DCX_API_PORT to a free port.")
            status, ready = await api.ask("GET", "/ready")
        except EngineAway as error:
            text = str(error).partition(": ")[0]
            if text.startswith("no engine"):
                return Finding("warning", text, _UP)
            return Finding("wrong", text, "An engine that hangs, or another program: end it, or set DCX_API_PORT.")
    if status != 200:
        reason = ready.get("reason", status) if isinstance(ready, dict) else status
        return Finding(
            "wrong", f"{url} is alive but takes no calls: {reason}", "The other lines of this table say why."
        )
    return Finding("ok", f"{url} is ready for calls")


async def redis(settings: Settings) -> Finding:
    """Several workers tell each other of their calls over it."""
    if not settings.redis_url:
        return await _no_redis(settings)
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(settings.redis_url, socket_connect_timeout=_ASK_S, socket_timeout=_ASK_S)
    try:
        await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        mend = "Start Redis there. Calls go on; the live view shows those of one worker only. One worker needs none."
        return Finding("wrong", f"does not answer: {str(error) or type(error).__name__}", mend)
    finally:
        await client.aclose()
    return Finding("ok", "answers")


async def _no_redis(settings: Settings) -> Finding:
    try:
        number = max(settings.workers, await _workers(settings))
    except StoreError:
        number = settings.workers  # the check of the database says why
    if number <= 1:
        return Finding("ok", "not used (DCX_REDIS_URL is not set)")
    text = f"DCX_REDIS_URL is not set: the live view and /metrics show the calls of one of {number} workers only"
    return Finding("warning", text, "Set DCX_REDIS_URL to a Redis that all workers reach.")


async def _workers(settings: Settings) -> int:
    """How many live. Raises StoreError."""
    url = parse_url(settings.database_url)
    if url.drivername.startswith("sqlite") and not await asyncio.to_thread(Path(str(url.database)).exists):
        return 0  # opening it would make it
    opened = open_database(settings.database_url)
    try:
        return len(await alive(opened, "", now_ms() - SEEN_LATELY_MS))
    finally:
        await opened.close()


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", python),
    ("home", home),
    ("database", database),
    ("programs", programs),
    ("ports", ports),
    ("asterisk", asterisk),
    ("ari", ari),
    ("ami", ami),
    ("speech", speech),
    ("engine", engine),
    ("configuration", configuration),
    ("outbox", outbox),
    ("redis", redis),
)
