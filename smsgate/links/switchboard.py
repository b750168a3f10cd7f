"""All carriers of this process, by id, by name and by the senders that they own; changed while they run."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import structlog

from smsgate.errors import ConfigError, NotFound
from smsgate.flows.test_mode import live_slug
from smsgate.links.carrier import CarrierAccount
from smsgate.links.profile_changes import needs_new_bind
from smsgate.links.senders import owners_of_senders
from smsgate.protocol.encodings import UCS2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from smsgate.clock import Clock
    from smsgate.flows.ports import CarrierEvents
    from smsgate.flows.records import BindStatus
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_senders import SenderNumber

log = structlog.get_logger(__name__)

RUNNING, DRAINING, STOPPED = "running", "draining", "stopped"


class Changes(NamedTuple):
    """What a new configuration did, by names of carriers."""

    added: list[str]
    rebound: list[str]  # left in order and bound anew
    adjusted: list[str]  # their sessions know nothing of it
    removed: list[str]
    untouched: list[str]


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
        self._clock = clock
        self._random = random
        self._by_id: dict[int, CarrierAccount] = {}
        self._by_name: dict[str, CarrierAccount] = {}
        self._by_sender: dict[str, SenderNumber] = {}
        self._owner_ids: dict[str, int] = {}
        self._events: CarrierEvents | None = None
        self._held: dict[str, str] = {}  # carriers that an operator drained or stopped
        self._changing = asyncio.Lock()
        self._leaving = False  # the process ends: nobody is started any more
        self.names: dict[int, str] = {}  # also of carriers that are gone: counts of them stay
        profiles = list(profiles)
        for carrier_id, profile in profiles:
            if profile.name in self._by_name:
                raise ConfigError(
                    f"two carriers are called {profile.name}", where="carriers", mend="rename one of them"
                )
            self._put(self._account(carrier_id, profile))
        self._own([profile for _, profile in profiles])

    def _account(self, carrier_id: int, profile: CarrierProfile) -> CarrierAccount:
        return CarrierAccount(profile, carrier_id, clock=self._clock, random=self._random)

    def _put(self, account: CarrierAccount) -> None:
        self._by_id[account.carrier_id] = account
        self._by_name[account.name] = account
        self.names[account.carrier_id] = account.name

    def _own(self, profiles: Sequence[CarrierProfile]) -> None:
        """Take over who owns which sender; the mapping that the flows hold changes in one step."""
        owners = owners_of_senders(profiles)
        self._by_sender = {number: sender for number, (_, sender) in owners.items()}
        ids = {number: self._by_name[profile.name].carrier_id for number, (profile, _) in owners.items()}
        self._owner_ids.clear()
        self._owner_ids.update(ids)

    def __iter__(self) -> Iterator[CarrierAccount]:
        return iter(list(self._by_id.values()))

    @property
    def carriers(self) -> Mapping[int, CarrierAccount]:
        """Return all carriers by their id, as the flows want them; it follows every change."""
        return MappingProxyType(self._by_id)

    @property
    def carrier_of_sender(self) -> Mapping[str, int]:
        """Return the id of each sender's owner, as the flows want it; it follows every change."""
        return MappingProxyType(self._owner_ids)

    def by_id(self, carrier_id: int) -> CarrierAccount:
        """Raises KeyError: no such carrier."""
        return self._by_id[carrier_id]

    def by_name(self, name: str) -> CarrierAccount | None:
        return self._by_name.get(name)

    def route(self, sender: str) -> CarrierAccount | None:
        """Return the carrier that owns `sender`: it takes what no rule gives to another."""
        carrier_id = self._owner_ids.get(sender.removeprefix("+"))
        return None if carrier_id is None else self._by_id.get(carrier_id)

    def sender(self, number: str) -> SenderNumber | None:
        """Return the entry of a sender: whether it receives, and who may use it."""
        return self._by_sender.get(number.removeprefix("+"))

    def may_send(self, merchant: str, sender: str) -> bool:
        """Return whether the merchant of that name may send from `sender`."""
        entry = self.sender(sender)
        return entry is not None and (entry.merchants == "*" or live_slug(merchant) in entry.merchants)

    def users(self, sender: str) -> Collection[str] | None:
        """Return the names of the merchants that may send from `sender`; None: all."""
        entry = self.sender(sender)
        return () if entry is None else None if entry.merchants == "*" else entry.merchants

    def writes_ucs2(self, sender: str) -> bool:
        """Return whether the carrier of a sender number takes UCS-2; of one that is not ours: yes."""
        owner = self.route(sender)
        return owner is None or UCS2 in owner.alphabets

    def start(self, events: CarrierEvents) -> None:
        """Begin to bind everywhere; needs a running loop."""
        self._events = events
        for account in self:
            account.start(events)

    def stop_submitting(self) -> None:
        self._leaving = True
        for account in self:
            account.stop_submitting()

    def in_flight(self) -> int:
        return sum(account.in_flight() for account in self)

    async def drain(self, timeout_s: float) -> None:
        """
        Leave all carriers in order: open responses awaited, unbind, close; cut after `timeout_s`.

        The flows have acknowledged what they committed before this; what waits still is delivered again.
        """
        self._leaving = True
        await asyncio.gather(*(account.stop(timeout_s) for account in self))

    async def close(self) -> None:
        """Leave at once: for a process that has no time left."""
        await self.drain(0.0)

    def binds(self) -> list[BindStatus]:
        return [status for account in self for status in account.binds()]

    # Changes at run time. `leave` of a carrier waits until what it said is committed and acknowledged.

    def state(self, name: str) -> str:
        return self._held.get(name, RUNNING)

    async def apply(
        self,
        profiles: Sequence[tuple[int, CarrierProfile]],
        *,
        swapped: Callable[[], None],
        leave: Callable[[CarrierAccount], Awaitable[None]],
    ) -> Changes:
        """
        Have exactly these carriers; those that stay the same keep their sessions.

        `swapped` is called once names, senders and what needs no new bind have changed, in the same turn of
        the loop; carriers that go or bind anew are left after it, all at once.

        Raises:
            ConfigError: a carrier cannot be made (TLS files), or two receive for one sender; nothing changed.
        """
        async with self._changing:
            owners_of_senders([profile for _, profile in profiles])
            old = {account.name: account for account in self}
            fresh: list[CarrierAccount] = []
            again: list[CarrierAccount] = []
            live: list[tuple[CarrierAccount, CarrierProfile]] = []
            for carrier_id, profile in profiles:
                account = old.pop(profile.name, None)
                if account is None:
                    fresh.append(self._account(carrier_id, profile))
                elif needs_new_bind(account.profile, profile):
                    again.append(self._account(carrier_id, profile))
                elif account.profile != profile:
                    live.append((account, profile))
            for account in fresh:
                self._put(account)
            for account, profile in live:
                account.adopt(profile)
            self._own([profile for _, profile in profiles])
            swapped()
            for account in fresh:
                self._begin(account)
            gone = list(old.values())
            await asyncio.gather(
                *(self._take_out(account, leave) for account in gone),
                *(self._exchange(self._by_id[account.carrier_id], account, leave) for account in again),
            )
            changed = {account.name for account in (*fresh, *again)} | {account.name for account, _ in live}
            return Changes(
                [account.name for account in fresh],
                [account.name for account in again],
                [account.name for account, _ in live],
                [account.name for account in gone],
                [profile.name for _, profile in profiles if profile.name not in changed],
            )

    async def drain_one(self, name: str) -> None:
        """Submit nothing more there; receipts and MOs are still taken. Raises NotFound."""
        async with self._changing:
            self._known(name).stop_submitting()
            self._held.setdefault(name, DRAINING)

    async def stop_one(self, name: str, leave: Callable[[CarrierAccount], Awaitable[None]]) -> None:
        """
        Leave one carrier in order and do not bind there until it is started.

        Raises:
            NotFound: no carrier has that name.
            ConfigError: a file of its TLS is gone, so it could not be started again: nothing is changed.
        """
        async with self._changing:
            account = self._known(name)
            stopped = self._account(account.carrier_id, account.profile)
            self._held[name] = STOPPED
            await self._exchange(account, stopped, leave)

    async def start_one(self, name: str) -> None:
        """Have a drained or stopped carrier work again. Raises NotFound."""
        async with self._changing:
            account = self._known(name)
            held = self._held.pop(name, RUNNING)
            if held == STOPPED:
                self._begin(account)
            elif held == DRAINING:
                account.resume_submitting()

    def _known(self, name: str) -> CarrierAccount:
        account = self._by_name.get(name)
        if account is None:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise NotFound(f"No carrier is called {name}; there are {known}.")
        return account

    async def _take_out(
        self, account: CarrierAccount, leave: Callable[[CarrierAccount], Awaitable[None]]
    ) -> None:
        await leave(account)
        del self._by_id[account.carrier_id], self._by_name[account.name]
        self._held.pop(account.name, None)

    async def _exchange(
        self,
        account: CarrierAccount,
        successor: CarrierAccount,
        leave: Callable[[CarrierAccount], Awaitable[None]],
    ) -> None:
        """Leave a carrier, then go on with another profile under the same number."""
        await leave(account)
        if account.profile.receipt_id_forms() == successor.profile.receipt_id_forms():
            successor.receipt_ids = account.receipt_ids  # what was learned
        successor.count_on(account)
        self._put(successor)
        self._begin(successor)

    def _begin(self, account: CarrierAccount) -> None:
        if self._leaving or self._held.get(account.name) == STOPPED:
            account.stop_submitting()
            return
        account.resume_submitting()
        if self._events is not None:
            account.start(self._events)
        if self._held.get(account.name) == DRAINING:
            account.stop_submitting()
