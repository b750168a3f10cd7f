"""
Who is connected and has not bound yet: bounded, with a fair share for every network.

Counted from the accept on, so that a TLS handshake which never ends has its place as well. When the door is
full, a newcomer takes the place of who stands there longest from the most crowded network: with many sockets
one pushes out oneself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

UNBOUND_MAX: Final = 200  # in all; some 100 kB each in the middle of a TLS handshake
UNBOUND_PER_SOURCE_MAX: Final = 20  # of one address, or an IPv6 network: an ESME binds its sessions together
# What one person or one provider's customer usually has; so a whole network counts as one when it is crowded.
NETWORK_BITS_V4: Final = 24
NETWORK_BITS_V6: Final = 64


@dataclass(eq=False, slots=True)
class Visit:
    """One connection that has not bound; `cut` ends it, whatever state it is in."""

    source: str
    network: str
    cut: Callable[[], None]


class Door:
    def __init__(self) -> None:
        self._visits: dict[Visit, None] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._visits)

    def enter(self, source: str, cut: Callable[[], None]) -> Visit | None:
        """Take somebody in, perhaps in another's place; None: that address has enough that have not bound."""
        network, source = network_of(source), customer_of(source)
        if sum(visit.source == source for visit in self._visits) >= UNBOUND_PER_SOURCE_MAX:
            return None
        newcomer = Visit(source, network, cut)
        self._visits[newcomer] = None
        return newcomer

    def crowded_out(self) -> Visit | None:
        """Return who has to go, and forget it; None: there is room for all."""
        if len(self._visits) <= UNBOUND_MAX:
            return None
        networks = Counter(visit.network for visit in self._visits)
        sources = Counter(visit.source for visit in self._visits)
        # Of equals the first, who is the oldest: he had his time.
        gone = max(self._visits, key=lambda visit: (networks[visit.network], sources[visit.source]))
        self.leave(gone)
        return gone

    def leave(self, visit: Visit) -> None:
        """It bound, or is gone."""
        self._visits.pop(visit, None)


def customer_of(source: str) -> str:
    """Return an address as what one customer has: of IPv6 it is a whole network, so that is what counts."""
    address = _address(source)
    if isinstance(address, IPv6Address):
        return f"{_network_v6(address)}/{NETWORK_BITS_V6}"
    return source if address is None else str(address)


def network_of(source: str) -> str:
    """Return the network of an address, as text; an address that is none is its own network."""
    address = _address(source)
    if isinstance(address, IPv6Address):
        return _network_v6(address)
    return source if address is None else str(address).rpartition(".")[0]


def _address(source: str) -> IPv4Address | IPv6Address | None:
    """Return the address; IPv4 in the clothes of IPv6 is IPv4."""
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _network_v6(address: IPv6Address) -> str:
    return str(IPv6Address(int(address) >> (128 - NETWORK_BITS_V6) << (128 - NETWORK_BITS_V6)))
