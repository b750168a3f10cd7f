"""
Which carrier takes whom: the rules in force, applied to a column of recipients.

Without rules, or where none holds, the carrier that owns the sender number takes everything. Rules are
exchanged as a whole at run time; batches that were made before go on by the rules they were made by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction, PriceBook
from smsgate.clock import Clock
from smsgate.flows.batches import Batch
from smsgate.flows.ports import Carrier
from smsgate.msisdn import any_simulated, is_simulated
from smsgate.routing.choosing import Tier, pick, tiers, without
from smsgate.routing.rules import Kind, Rule
from smsgate.routing.table import RouteTable

SENDER_UNKNOWN: Final = "sender_unknown"  # reasons of messages that are not sent
ROUTE_REFUSED: Final = "route_refused"
ROUTE_TOO_DEAR: Final = "route_too_dear"
ROUTE_EMPTY: Final = "route_empty"  # none of the rule's carriers runs in this process


class Prices(Protocol):
    """Price lists in memory, as fresh as a few seconds."""

    async def refresh(self) -> None:
        """Load what changed since the last few seconds; call it before a batch of look-ups."""
        ...

    def invalidate(self) -> None:
        """Have the next `refresh` look, however young the copy is."""
        ...

    def book_of(self, merchant_id: int) -> PriceBook | None:
        """Return what this merchant pays; None: the merchant has no price list."""
        ...

    def cost_book(self, name: str) -> PriceBook | None:
        """Return what a carrier charges us, by the name of its list."""
        ...

    def slug(self, merchant_id: int) -> str:
        """Return the name that rules call the merchant by; "" when it is not known (yet)."""
        ...


class Plan(NamedTuple):
    """What a rule says for one network: carriers best first, or why nobody takes it."""

    route: str
    tiers: tuple[Tier, ...]
    reason: str | None = None


class Group(NamedTuple):
    """Recipients that one carrier takes by one plan; `places` is None when these are all."""

    places: list[int] | None
    carrier_id: int | None
    plan: Plan


class Routes:
    """Not thread-safe: everything runs in one event loop."""

    def __init__(
        self,
        carriers: Mapping[int, Carrier],
        carrier_of_sender: Mapping[str, int],
        table: RouteTable,
        prices: Prices,
        networks: NetworkTable,
        clock: Clock,
        *,
        grace_s: float,
        simulated: int,
    ) -> None:
        """`simulated` is the carrier of simulated phones."""
        self.table = table
        self.reloads = 0  # of carriers and rules; who waited for something may find others than before
        self._carriers = carriers
        self._carrier_of_sender = carrier_of_sender
        self._prices = prices
        self._networks = networks
        self._clock = clock
        self._grace_s = grace_s
        self._simulated = simulated

    def reload(self, table: RouteTable) -> None:
        """Go on with other rules, and with what the carriers and their senders are by now."""
        self.table = table
        self.reloads += 1

    def networks(self, msisdns: Sequence[int], ported: Mapping[int, str]) -> list[str]:
        """Return the network of every recipient, the one it moved to where that is known."""
        column = self._networks.column(msisdns)
        if not ported:
            return column
        return [ported.get(msisdn, network) for msisdn, network in zip(msisdns, column, strict=True)]

    def groups(
        self,
        merchant_id: int,
        sender: str,
        kind: Kind,
        msisdns: Sequence[int],
        networks: Sequence[str],
        *,
        salt: int,
    ) -> list[Group]:
        """
        Split recipients by carrier; `salt` and the number choose among equals, the same each time.

        Simulated phones have their own carrier, whatever rules say and whoever else is in the column.
        """
        if not any_simulated(msisdns):
            return self._real(merchant_id, sender, kind, msisdns, networks, salt)
        real = [place for place, msisdn in enumerate(msisdns) if not is_simulated(msisdn)]
        simulated = Group(None, self._simulated, _own(self._simulated))
        if not real:
            return [simulated]
        found = self._real(
            merchant_id, sender, kind, [msisdns[p] for p in real], [networks[p] for p in real], salt
        )
        return [
            simulated._replace(places=[p for p, msisdn in enumerate(msisdns) if is_simulated(msisdn)]),
            *(
                group._replace(places=real if group.places is None else [real[p] for p in group.places])
                for group in found
            ),
        ]

    def _real(
        self,
        merchant_id: int,
        sender: str,
        kind: Kind,
        msisdns: Sequence[int],
        networks: Sequence[str],
        salt: int,
    ) -> list[Group]:
        owner = self.owner(sender)
        slug = self._prices.slug(merchant_id)
        view = self.table.view(slug, sender, kind) if self.table else None
        if not view:
            return [Group(None, owner, _own(owner))]
        rules = view.column(msisdns, networks)
        plans = {key: self._plan(*key, slug, sender) for key in set(zip(rules, networks, strict=True))}
        down, ids = self.down(), self._ids()
        best = {plan: without(plan.tiers, down) or plan.tiers for plan in plans.values()}
        places: dict[tuple[Plan, int | None], list[int]] = {}
        for place, key in enumerate(zip(rules, networks, strict=True)):
            plan = plans[key]
            if plan.tiers:
                carrier = ids.get(pick(best[plan][0], msisdns[place] ^ salt))
            else:
                carrier = owner if plan.reason is None else None
            places.setdefault((plan, carrier), []).append(place)
        if len(places) == 1:
            ((plan, carrier),) = places
            return [Group(None, carrier, plan)]
        return [Group(found, carrier, plan) for (plan, carrier), found in places.items()]

    def split(
        self,
        merchant_id: int,
        sender: str,
        kind: Kind,
        msisdns: Sequence[int],
        ported: Mapping[int, str],
        *,
        salt: int,
    ) -> list[list[int]] | None:
        """Return the places of each group for a claim to keep apart; None: all go the same way."""
        if not self.table or not msisdns:
            return None
        networks = self.networks(msisdns, ported)
        groups = self.groups(merchant_id, sender, kind, msisdns, networks, salt=salt)
        return [group.places for group in groups if group.places is not None] or None

    def senders_with_room(self, rooms: Mapping[int, int]) -> list[str]:
        """Return the senders whose messages some carrier could take now."""
        names = {self._carriers[carrier_id].name for carrier_id, room in rooms.items() if room > 0}
        return [
            sender
            for sender, owner in self._carrier_of_sender.items()
            if rooms.get(owner, 0) > 0 or not names.isdisjoint(self.table.carriers_of(sender))
        ]

    def next_carrier(self, batch: Batch, *, may_wait: bool = False) -> int | None:
        """Return who takes over what `batch` has not written; None: nobody who is up and was not tried."""
        now_at = self._carriers.get(batch.carrier_id)
        tried = batch.way.tried | ({now_at.name} if now_at else set())
        return self.next_of(batch.way.tiers, tried, batch.message_ids[0], may_wait=may_wait)

    def next_of(
        self, found: Sequence[Tier], tried: AbstractSet[str], seed: int, *, may_wait: bool
    ) -> int | None:
        """Return the best carrier that was not tried and is up; with `may_wait`, else one that is away."""
        ids = self._ids()
        gone = {name for tier in found for name in tier.carriers if name not in ids}  # by a reload
        there = without(found, tried | gone)
        left = without(there, self.down()) or (there if may_wait else ())
        return ids[pick(left[0], seed)] if left else None

    def down(self) -> frozenset[str]:
        """Return the carriers that nothing can be written to, longer than the grace."""
        latest = self._clock.monotonic() - self._grace_s
        return frozenset(
            carrier.name
            for carrier in self._carriers.values()
            if (since := carrier.down_since()) is not None and since <= latest
        )

    def known_ids(self) -> AbstractSet[int]:
        """Return the carriers that may have something to write; that of simulated phones is never removed."""
        return self._carriers.keys() | {self._simulated}

    def down_ids(self) -> frozenset[int]:
        ids = self._ids()
        return frozenset(ids[name] for name in self.down())

    def owner(self, sender: str) -> int | None:
        """Return the carrier that takes what no rule decides; None: nobody has this sender."""
        carrier_id = self._carrier_of_sender.get(sender)
        return carrier_id if carrier_id in self._carriers else None

    def rate_of(self, sender: str) -> int:
        """Return how many messages a second all carriers together take that may get some from this sender."""
        names, owner = self.table.carriers_of(sender), self.owner(sender)
        return sum(
            carrier.rate_per_s
            for carrier_id, carrier in self._carriers.items()
            if carrier_id == owner or carrier.name in names
        )

    def only_carrier(self, sender: str) -> int | None:
        """Return the carrier that takes all from this sender; None: nobody, or rules may choose another."""
        return None if self.table.carriers_of(sender) else self.owner(sender)

    def cost(self, carrier: str, network: str) -> int | None:
        """Return what a segment to `network` costs at a carrier now, in micros; None: nobody knows."""
        carrier_id = self._ids().get(carrier)
        name = None if carrier_id is None else self._carriers[carrier_id].cost_list
        book = None if name is None else self._prices.cost_book(name)
        item = None if book is None else book.lookup(self._clock.now(), Direction.MT, network)
        return None if item is None else item.unit_micros

    def _plan(self, rule: Rule | None, network: str, slug: str, sender: str) -> Plan:
        if rule is None:
            return _own(self.owner(sender))
        if rule.refuse:
            return Plan(rule.name, (), ROUTE_REFUSED)
        known = self._ids()
        candidates = [c for c in self.table.candidates(rule, sender, slug) if c.carrier in known]
        if not candidates:
            return Plan(rule.name, (), ROUTE_EMPTY)
        found = tiers(rule, candidates, lambda carrier: self.cost(carrier, network))
        return Plan(rule.name, found, None if found else ROUTE_TOO_DEAR)

    def _ids(self) -> dict[str, int]:
        return {carrier.name: carrier_id for carrier_id, carrier in self._carriers.items()}


def _own(owner: int | None) -> Plan:
    return Plan("", (), SENDER_UNKNOWN if owner is None else None)
