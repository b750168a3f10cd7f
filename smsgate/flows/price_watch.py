"""Prices that lose money: those in force, and those that will once a published version takes over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from smsgate.billing.price_changes import BelowCost
from smsgate.clock import Clock
from smsgate.flows.pricing import Pricing
from smsgate.flows.publishing import earning_too_little

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S: Final = 60.0  # prices change a few times a year, by instants that are known before
NETWORKS_LOGGED: Final = 5  # of each pair of lists


class Loss(NamedTuple):
    """A price in force that is below a cost in force, for a network; `merchants` pay by its list."""

    found: BelowCost
    currency: str


class Pair(NamedTuple):
    """What earns less than what; `when` is "now", or "ahead" as long as every instant of it is to come."""

    sell_list: str
    cost_list: str
    when: str


def losses_at(at: datetime, pricing: Pricing, cost_lists: Collection[str]) -> list[Loss]:
    """Return the prices in force at an instant that are below cost; `cost_lists` are those that count."""
    found: list[Loss] = []
    for prices in pricing.price_lists("sell"):
        book = pricing.book(prices.price_list_id)
        running = None if book is None else book.version_at(at)
        if running is not None:
            found += [
                Loss(each, prices.currency)
                for each in earning_too_little(prices, running.items, at, pricing)
                if each.cost_list in cost_lists
            ]
    return found


class PriceWatch:
    """
    Looks again and again; `found` counts networks that sell below cost, for the operator's alarms.

    `cost_lists` are those of the carriers that run at this moment: another one costs nobody anything.
    """

    def __init__(self, pricing: Pricing, clock: Clock, cost_lists: Callable[[], Collection[str]]) -> None:
        self._pricing = pricing
        self._clock = clock
        self._cost_lists = cost_lists
        self._networks: dict[Pair, frozenset[str]] = {}

    @property
    def found(self) -> Counter[Pair]:
        return Counter({pair: len(networks) for pair, networks in self._networks.items()})

    async def step(self) -> bool:
        """Look once; one step of a loop. What is new, and what is over, is told once."""
        await self._pricing.refresh()
        networks = self._look(self._clock.now())
        for pair in sorted(networks.keys() | self._networks.keys()):
            was, is_ = self._networks.get(pair, frozenset()), networks.get(pair, frozenset())
            if is_ - was:
                log.warning("prices_below_cost", **_told(pair, is_))
            elif not is_:
                log.info("prices_below_cost_no_more", **_told(pair, was))
        self._networks = networks
        return False

    def _look(self, now: datetime) -> dict[Pair, frozenset[str]]:
        cost_lists = self._cost_lists()
        losses = {loss.found: "now" for loss in losses_at(now, self._pricing, cost_lists)}
        for at in self._instants_after(now):
            for loss in losses_at(at, self._pricing, cost_lists):
                losses.setdefault(loss.found, "ahead")
        pairs = {Pair(found.sell_list, found.cost_list, when) for found, when in losses.items()}
        return {
            pair: frozenset(
                found.network
                for found, when in losses.items()
                if pair == Pair(found.sell_list, found.cost_list, when)
            )
            for pair in pairs
        }

    def _instants_after(self, now: datetime) -> list[datetime]:
        books = (
            self._pricing.book(prices.price_list_id)
            for side in ("sell", "cost")
            for prices in self._pricing.price_lists(side)
        )
        versions = (version for book in books if book is not None for version in book.versions)
        return sorted({version.effective_from for version in versions if version.effective_from > now})


def _told(pair: Pair, networks: frozenset[str]) -> dict[str, object]:
    shown = sorted(networks)[:NETWORKS_LOGGED]
    return {**pair._asdict(), "networks": len(networks), "first": ",".join(shown)}
