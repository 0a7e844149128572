"""Is a port free? Asked before a program starts, because Asterisk itself only logs it and runs on without the
port."""

import errno
import socket
from collections.abc import Iterable

from dcx_asterisk.errors import PortTaken
from dcx_asterisk.instance import Instance


def check_ports(instance: Instance) -> None:
    """Raise PortTaken naming the first port (and its variable) that Asterisk could not listen on."""
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = (
        ("DCX_ARI_PORT", instance.ari_bind, instance.ari_port, stream),
        ("DCX_AMI_PORT", instance.ari_bind, instance.ami_port, stream),
        ("DCX_SIP_PORT", instance.sip_bind, instance.sip_port, stream),
        ("DCX_SIP_PORT", instance.sip_bind, instance.sip_port, datagram),
        # Not the whole range: Asterisk skips single ports that are taken, so only a clash with a second
        # instance matters.
        ("DCX_RTP_PORTS", instance.sip_bind, instance.rtp_ports[0], datagram),
    )
    for variable, host, port, kind in wanted:
        check_port(variable, host, port, kind)


def check_port(variable: str, host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """Raise PortTaken, which names `variable`, where nobody could listen on the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:  # as Asterisk does: connections of a predecessor in TIME_WAIT do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            what = "TCP" if kind == socket.SOCK_STREAM else "UDP"
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"{variable}: {what} port {port} on {host} is in use by another program",
                    f"Stop that program, or set {variable} to a free port.",
                ) from error
            raise PortTaken(
                f"{variable}: cannot listen on {what} port {port} of {host}: {error.strerror}",
                f"Set {variable} to a port above 1023, and the address to one of this machine.",
            ) from error


def free_ports(count: int, host: str = "127.0.0.1", spacing: int = 1, within: Iterable[int] = ()) -> list[int]:
    """`count` ports free for TCP and UDP at this moment (with `spacing - 1` free ports after each), for tests
    and demos.

    `within` are candidates; without it, the range below the one the kernel hands out (so that outgoing
    connections do not take them meanwhile), tried in an order of this process's own.
    """

    candidates = list(within) or _shuffled(range(12000, 31000, spacing))
    found: list[int] = []
    for first in candidates:
        if all(_free(host, port) for port in range(first, first + spacing)):
            found.append(first)
            if len(found) == count:
                return found
    raise PortTaken(f"no {count} free ports on {host}", "Stop some programs.")


def _free(host: str, port: int) -> bool:
    try:
        check_port("", host, port, socket.SOCK_STREAM)
        check_port("", host, port, socket.SOCK_DGRAM)
    except PortTaken:
        return False
    return True


def _shuffled(candidates: range) -> list[int]:
    import random

    return random.sample(candidates, len(candidates))
