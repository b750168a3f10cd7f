"""How one carrier account is bound: by its own links, and where its SMSC asks for it."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

from smsgate.links.hosts import HostBook
from smsgate.links.link import Link
from smsgate.links.outbinds import Outbinds
from smsgate.links.tls import tls_context
from smsgate.protocol.session_states import BindKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.clock import Clock
    from smsgate.flows.records import BindStatus
    from smsgate.links.link import LinkOwner
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.pcap import TracedPdu

_tokens: Final = count(1)  # of connections, unique in this process


class Binds:
    def __init__(
        self, profile: CarrierProfile, owner: LinkOwner, *, clock: Clock, random: Callable[[], float]
    ) -> None:
        """Raises ConfigError: a TLS file that cannot be read."""
        self.links: list[Link] = []  # from `start` on
        self.outbinds: Outbinds | None = None
        self._profile = profile
        self._owner = owner
        self._tls = tls_context(profile)
        self._clock = clock
        self._random = random
        if profile.outbind_port is not None:
            self.outbinds = Outbinds(profile, owner, clock=clock, next_token=lambda: next(_tokens))

    def start(self) -> None:
        """Begin to bind; needs a running loop."""
        assert not self.links
        profile = self._profile
        kinds = [BindKind.TRANSCEIVER]
        if profile.bind == "tx+rx":
            kinds = [BindKind.TRANSMITTER, BindKind.RECEIVER]
        book = HostBook(profile.hosts, profile.hosts_use, profile.rebind.refused_tcp_s)
        for number in range(1, profile.binds + 1):
            for kind in kinds:
                link = Link(
                    f"{kind.value}-{number}",
                    kind,
                    profile,
                    self._owner,
                    tls=self._tls,
                    clock=self._clock,
                    random=self._random,
                    next_token=lambda: next(_tokens),
                    book=book,
                    place=number - 1,
                )
                self.links.append(link)
                link.start()
        if self.outbinds is not None:
            self.outbinds.start()

    async def stop(self, timeout_s: float) -> None:
        """Leave in order, transmitters and receivers together; what stays open is in doubt."""
        stops = [link.stop(timeout_s) for link in self.links]
        if self.outbinds is not None:
            stops.append(self.outbinds.stop(timeout_s))
        await asyncio.gather(*stops)

    def statuses(self) -> list[BindStatus]:
        asked = [] if self.outbinds is None else self.outbinds.statuses()
        return [*(link.status() for link in self.links), *asked]

    def traced(self, bind: str | None = None) -> list[TracedPdu]:
        """Return the last PDUs of all binds, or of one by its name, oldest first; secrets stand in them."""
        rings = [link.ring for link in self.links if bind in {None, link.name}]
        if self.outbinds is not None and (bind is None or bind.startswith("outbind-")):
            rings.append(self.outbinds.ring)  # one for all: they are few, and short
        found = [pdu for ring in rings if ring is not None for pdu in ring.pdus()]
        return sorted(found, key=lambda pdu: pdu.at_s)
