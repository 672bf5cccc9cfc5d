"""Who counts as one peer: whoever owns an IPv6 network has more addresses than a server can count."""

import ipaddress
from collections import Counter
from functools import lru_cache
from typing import Any

from underlay.serve.limits import Limits

NETWORK = 64
"""Bits of an IPv6 address that tell one peer from another: the smallest network that a site is given."""


@lru_cache(4096)
def peer_of(address: str) -> str:
    """What the failures and connections of an address are counted under.

    >>> peer_of("192.0.2.7"), peer_of("2001:db8::1"), peer_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, NETWORK), strict=False))


def address_of(transport: Any) -> str:
    """The address at the other end of a socket; "" if it has none."""
    found = transport.get_extra_info("peername")
    return str(found[0]) if isinstance(found, tuple) and found else ""


class Crowd:
    """The connections of a listener, counted by peer.

    Args:
        limits: Of the server.

    >>> crowd = Crowd(Limits(peer_connections=1))
    >>> crowd.enter("192.0.2.7"), crowd.enter("192.0.2.7"), crowd.total
    (True, False, 2)
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counts: Counter[str] = Counter()
        self.total = 0

    def enter(self, address: str) -> bool:
        """Count one, which must `leave` in any case; whether it is within the bounds."""
        self.total += 1
        self._counts[peer_of(address)] += 1
        return self.total <= self._limits.connections and self.of(address) <= self._limits.peer_connections

    def leave(self, address: str) -> None:
        """Uncount it."""
        peer = peer_of(address)
        self.total -= 1
        self._counts[peer] -= 1
        if self._counts[peer] <= 0:
            del self._counts[peer]

    def of(self, address: str) -> int:
        """Connections of the peer that has this address."""
        return self._counts[peer_of(address)]
