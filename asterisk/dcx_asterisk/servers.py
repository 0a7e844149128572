"""A PostgreSQL and a Redis of one's own, out of a fetched tree: for tests, and for trying DCX on them.

    with postgres(folder) as url, redis(other_folder) as redis_url: ...

Both listen on loopback, keep everything below their folder, and end with the `with`.
"""

# ruff: noqa: S603 - programs of our own tree, no shell

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dcx_asterisk.errors import CommandFailed
from dcx_asterisk.fetch import ensure
from dcx_asterisk.ports import free_ports
from dcx_asterisk.tree import Tree

_UP_S = 30.0
_NOBODY = "nobody"  # PostgreSQL does not run as root


@contextmanager
def postgres(folder: Path, tree: Tree | None = None, *, durable: bool = False) -> Iterator[str]:
    """An empty cluster; yields the URL of its database `dcx`, for SQLAlchemy with asyncpg.

    `folder` must not exist or be empty. `durable`: commits survive a power cut, as in production. Raises CommandFailed.
    """
    server = Postgres(folder, tree or ensure("servers"), durable=durable)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


class Postgres:
    """One cluster, to start, kill and start again."""

    def __init__(self, folder: Path, tree: Tree, *, durable: bool = False) -> None:
        self.folder = folder
        self._durable = durable
        self._port = _port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        if os.geteuid() == 0:
            for parent in folder.parents:  # the other user must get through
                if not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._tree = _runnable(tree, folder / "tree")
        self._data = folder / "data"
        self._data.mkdir()
        self._as = _unprivileged(self._data)
        share = next((self._tree.root / "usr/share/postgresql").iterdir())
        superuser = ["-U", "dcx", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        self._run(self._tree.command("initdb", "-D", self._data, "-L", share, *superuser))

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://dcx@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise CommandFailed("this PostgreSQL does not run")
        return self._process.pid

    def start(self) -> None:
        """Start, or start again after a kill; returns when it takes connections."""
        binary = self._tree.program("postgres")
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "60"}
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(binary), "-D", str(self._data), "-p", str(self._port), *settings]
        self._process = _spawn(command, self.folder / "postgres.log", self._as, self._environment())
        _await(self._process, self._port, self.folder / "postgres.log", self._ready)

    def _ready(self, port: int) -> bool:
        """It says so itself: on the port another server, started at the same moment, may answer."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return lines[7:8] != [] and lines[7].strip() == "ready" and _postgres_answers(port)

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT: at once and in order. SIGKILL: as a crash, with all its helpers."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait(_UP_S)

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, preexec_fn=self._as, env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandFailed(f"{Path(command[-1]).name}: {done.stderr.strip() or done.stdout.strip()}")

    def _environment(self) -> Mapping[str, str]:
        return {**self._tree.environment(), "HOME": str(self._data), "TZ": "UTC"}


@contextmanager
def redis(folder: Path, tree: Tree | None = None) -> Iterator[str]:
    """An empty Redis; yields its URL. Raises CommandFailed."""
    server = Redis(folder, tree or ensure("servers"))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


class Redis:
    """One Redis without persistence, to start, kill and start again."""

    def __init__(self, folder: Path, tree: Tree) -> None:
        self._folder = folder
        self._tree = tree
        self._port = _port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise CommandFailed("this Redis does not run")
        return self._process.pid

    def start(self) -> None:
        """Start, or start again after a kill; returns when it takes connections."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        command = self._tree.command("redis-server", *options)
        self._process = _spawn(command, self._folder / "redis.log", None, self._tree.environment())
        _await(self._process, self._port, self._folder / "redis.log", _redis_answers)

    def stop(self, number: int = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(_UP_S)


def _port() -> int:
    """One of many, so that two who look at the same moment hardly ever find the same."""
    return free_ports(1, within=random.sample(range(23000, 24000), 1000))[0]


def _runnable(tree: Tree, target: Path) -> Tree:
    """A copy of the tree whose `postgres` can be started by `initdb`, which knows nothing of the tree's own loader;
    and which another user can read."""
    shutil.copytree(tree.root, target, symlinks=True)
    made = Tree(target)
    binary = made.program("postgres")
    real = binary.with_name("postgres.real")
    binary.rename(real)
    start = f'exec {made.loader} --library-path {made.libraries} --argv0 {binary} {real} "$@"'
    binary.write_text(f"#!/bin/sh\n{start}\n")
    binary.chmod(0o755)
    return made


def _unprivileged(data: Path) -> Callable[[], None] | None:
    """What a child does before it starts, so that it is not root; None where we are not."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(_NOBODY)
    os.chown(data, user.pw_uid, user.pw_gid)

    def become() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return become


def _spawn(
    command: Sequence[str], log: Path, become: Callable[[], None] | None, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            preexec_fn=become,
            start_new_session=True,
        )


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path, answers: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + _UP_S
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise CommandFailed(f"a server did not start:\n{log.read_text(errors='replace')[-800:]}")
        time.sleep(0.02)


def _postgres_answers(port: int) -> bool:
    """It answers a request for TLS with one letter as soon as it takes connections."""
    said = _ask(port, b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
    return said in (b"N", b"S")


def _redis_answers(port: int) -> bool:
    return _ask(port, b"PING\r\n").startswith(b"+PONG")


def _ask(port: int, question: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""
