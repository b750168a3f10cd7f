"""All carriers of this process, by id, by name, and by the sender numbers that they serve."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from smsgate.errors import ConfigError
from smsgate.links.carrier import CarrierAccount
from smsgate.links.senders import owners_of_senders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from smsgate.clock import Clock
    from smsgate.flows.ports import CarrierEvents
    from smsgate.flows.records import BindStatus
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_senders import SenderNumber


class Switchboard:
    def __init__(
        self,
        profiles: Iterable[tuple[int, CarrierProfile]],
        *,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """
        Take (carrier_id, profile) pairs; nothing is connected before `start`.

        Raises:
            ConfigError: two carriers of one name, or that receive for one sender, or a TLS file that cannot
                be read.
        """
        self._by_id: dict[int, CarrierAccount] = {}
        self._by_name: dict[str, CarrierAccount] = {}
        self._by_sender: dict[str, tuple[CarrierAccount, SenderNumber]] = {}
        self._owner_ids: dict[str, int] = {}
        self.names: dict[int, str] = {}  # also of carriers that are gone: counts of them stay
        profiles = list(profiles)
        for carrier_id, profile in profiles:
            account = CarrierAccount(profile, carrier_id, clock=clock, random=random)
            if profile.name in self._by_name:
                raise ConfigError(
                    f"two carriers are called {profile.name}", where="carriers", mend="rename one of them"
                )
            self._by_id[carrier_id] = account
            self.names[carrier_id] = profile.name
            self._by_name[profile.name] = account
        for number, (profile, sender) in owners_of_senders(profile for _, profile in profiles).items():
            self._by_sender[number] = self._by_name[profile.name], sender
            self._owner_ids[number] = self._by_name[profile.name].carrier_id

    def __iter__(self) -> Iterator[CarrierAccount]:
        return iter(self._by_id.values())

    @property
    def carriers(self) -> Mapping[int, CarrierAccount]:
        """Return all carriers by their id, as the flows want them."""
        return MappingProxyType(self._by_id)

    @property
    def carrier_of_sender(self) -> Mapping[str, int]:
        """Return the id of each sender's owner, as the flows want it."""
        return MappingProxyType(self._owner_ids)

    def by_id(self, carrier_id: int) -> CarrierAccount:
        """Raises KeyError: no such carrier."""
        return self._by_id[carrier_id]

    def by_name(self, name: str) -> CarrierAccount | None:
        return self._by_name.get(name)

    def route(self, sender: str) -> CarrierAccount | None:
        """Return the carrier that owns `sender`: it takes what no rule gives to another."""
        found = self._by_sender.get(sender.removeprefix("+"))
        return None if found is None else found[0]

    def sender(self, number: str) -> SenderNumber | None:
        """Return the entry of a sender: whether it receives, and who may use it."""
        found = self._by_sender.get(number.removeprefix("+"))
        return None if found is None else found[1]

    def may_send(self, merchant: str, sender: str) -> bool:
        """Return whether the merchant of that name may send from `sender`."""
        entry = self.sender(sender)
        return entry is not None and (entry.merchants == "*" or merchant in entry.merchants)

    def start(self, events: CarrierEvents) -> None:
        """Begin to bind everywhere; needs a running loop."""
        for account in self:
            account.start(events)

    def stop_submitting(self) -> None:
        for account in self:
            account.stop_submitting()

    def in_flight(self) -> int:
        return sum(account.in_flight() for account in self)

    async def drain(self, timeout_s: float) -> None:
        """
        Leave all carriers in order: open responses awaited, unbind, close; cut after `timeout_s`.

        The flows have acknowledged what they committed before this; what waits still is delivered again.
        """
        await asyncio.gather(*(account.stop(timeout_s) for account in self))

    async def close(self) -> None:
        """Leave at once: for a process that has no time left."""
        await self.drain(0.0)

    def binds(self) -> list[BindStatus]:
        return [status for account in self for status in account.binds()]
