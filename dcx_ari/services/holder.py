"""Who asks: the holder of a key, or a user who has logged in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from dcx_ari.services.permissions import SCOPED, SELF, allows, known

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key or session it is, and what it is good for.

    `permissions` are patterns. `buyer_id` or `source_id`: only rows of that buyer or traffic source may be seen.
    `rate_limit` is in requests a minute, 0: none. `networks` empty: from everywhere.
    """

    kind: Literal["key", "user"]
    id: int
    name: str
    role: str
    permissions: frozenset[str]
    buyer_id: int | None = None
    source_id: int | None = None
    rate_limit: int = 0
    networks: tuple[Network, ...] = ()
    session_id: int | None = None

    @property
    def scoped(self) -> bool:
        """Whether it is tied to one buyer or one traffic source."""
        return self.buyer_id is not None or self.source_id is not None

    @property
    def writes(self) -> bool:
        """Whether the holder may change what calls go by."""
        return self.may("campaigns.write")

    def may(self, permission: str) -> bool:
        return allows(self.permissions, permission)

    def may_come_from(self, address: str | None) -> bool:
        if not self.networks:
            return True
        found = parse_address(address)
        return found is not None and within(found, self.networks)


def granted(patterns: Collection[str], *, scoped: bool) -> frozenset[str]:
    """What a role's patterns come to; tied to one buyer or source: no more than `SCOPED`."""
    if not scoped:
        return frozenset(patterns)
    return frozenset(name for name in known() & SCOPED if allows(patterns, name)) | {SELF}


def parse_address(text: str | None) -> Address | None:
    """An address without its zone; IPv4 in IPv6's clothes (`::ffff:192.0.2.1`) is IPv4."""
    try:
        found = ipaddress.ip_address((text or "").partition("%")[0].strip())
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


def within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == each.version and address in each for each in networks)
