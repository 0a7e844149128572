"""Where DCX may send what somebody asked for: never to itself, its neighbours, or a cloud's metadata.

Addresses are refused by what they are, not by a list of names: everything that is not on the public Internet,
and every form in which such an address can hide in another (mapped, translated, tunnelled, written as a number).
The same rule is asked when a URL is saved and for every connection that is made: names can change what they mean.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NUMERIC = re.compile(r"^(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?$", re.IGNORECASE)
_LOOKUP_S = 5.0


class UnsafeUrl(ValueError):
    """The URL cannot be used; the text is the rule."""


def networks(text: str) -> tuple[Network, ...]:
    """`10.1.0.0/16, 127.0.0.1` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Targets:
    """Public addresses, and those within `allow`."""

    allow: Sequence[Network] = ()

    def permits(self, address: str) -> bool:
        """Whether a connection to this IP address may be made."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        inner = _inside(found)
        return any(one in net for one in (found, inner) for net in self.allow if one.version == net.version) or (
            _public(found) and _public(inner)
        )

    def check_url(self, url: str) -> SplitResult:
        """The parts of a URL that may be used, as far as its text shows. Raises UnsafeUrl."""
        if (
            len(url) > MAX_URL
            or not url.isascii()
            or not url.isprintable()
            or any(char in url for char in ' \\"<>^`{}')
        ):
            raise UnsafeUrl(f"must be a URL in ASCII without spaces, up to {MAX_URL} characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UnsafeUrl("must be a URL such as https://example.com/hook") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnsafeUrl("must begin with https:// or http:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise UnsafeUrl("must not hold a user name or password")
        if parts.fragment or port == 0:
            raise UnsafeUrl("must not have a fragment, nor port 0")
        self._check_host(parts.hostname)
        return parts

    def _check_host(self, host: str) -> None:
        try:
            literal = str(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            if _NUMERIC.match(host):  # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to the system's resolver
                raise UnsafeUrl("must name its host, or give a plain IP address") from None
            if host.rstrip(".").lower().endswith("localhost") and not self.permits("127.0.0.1"):
                raise UnsafeUrl(REFUSED) from None
            return
        if not self.permits(literal):
            raise UnsafeUrl(REFUSED)

    async def check(self, url: str) -> None:
        """As `check_url`, and look the name up. A name that does not exist (yet) passes: connections ask again.

        Raises UnsafeUrl.
        """
        parts = self.check_url(url)
        try:
            async with asyncio.timeout(_LOOKUP_S):
                found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443)
        except (OSError, UnicodeError, TimeoutError):
            return
        if not all(self.permits(str(each[4][0])) for each in found):
            raise UnsafeUrl(REFUSED)


REFUSED = "must not lead to a private, loopback, link-local or reserved address (see DCX_WEBHOOK_ALLOW)"


def _inside(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries; else the address itself."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address in _NAT64:
            return True  # what it carries is asked for itself
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def public_url(url: str, kind: str) -> str:
    """The URL as it may be shown and logged: that of a Slack webhook is its password, so only the host."""
    return url if kind != "slack" else f"https://{urlsplit(url).hostname}/…"
