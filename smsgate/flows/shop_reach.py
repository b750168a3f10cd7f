"""
Shops that take no orders: their merchants' offers wait, so that nobody orders into a void.

An endpoint fails from its first failed attempt until an order is taken there; anything that is taken counts
while no order waits that was tried, for a shop may take receipts and refuse orders. When no endpoint for
orders takes any, the merchant's campaigns wait as those of a suspended merchant do. Orders of offers that
are out are taken as ever and wait for the shop (`campaigns/orders.py` says how long). Meanwhile the oldest
event is tried every PROBE_EVERY beside its schedule; the first order that is taken lets everything go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from smsgate.clock import Clock

log = structlog.get_logger(__name__)

# A restart or a deployment of a shop is over by then; a buyer who orders meanwhile is told within the hour.
LOST_AFTER: Final = timedelta(minutes=30)
# The schedule makes three within six minutes; one or two may be what a stop of the gateway left behind.
LOST_FAILURES_MIN: Final = 3
PROBE_EVERY: Final = timedelta(minutes=10)  # how long a shop that is back waits for its offers at most


@dataclass(frozen=True, slots=True)
class Reach:
    """What one look changed."""

    lost: Mapping[
        int, datetime | None
    ]  # merchant -> since when nothing was taken; None: endpoints are disabled
    found: Sequence[int]
    unreached: int  # merchants whose offers wait now; test merchants are not counted


class ShopReachStore(Protocol):
    async def look(
        self, *, failures_min: int, failing_before: datetime, probed_before: datetime, now: datetime
    ) -> Reach:
        """
        Note whose shops were lost and found, each with its event, and try the lost ones again.

        Two processes may look at once: each change is told by one of them.
        """
        ...


class ShopReach:
    def __init__(self, store: ShopReachStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.unreached = 0  # merchants whose offers wait, as of the last look

    async def step(self) -> bool:
        """One step of a loop."""
        now = self._clock.now()
        reach = await self._store.look(
            failures_min=LOST_FAILURES_MIN,
            failing_before=now - LOST_AFTER,
            probed_before=now - PROBE_EVERY,
            now=now,
        )
        self.unreached = reach.unreached
        for merchant_id, since in reach.lost.items():
            reason = "endpoints_disabled" if since is None else "endpoints_fail"
            log.warning("shop_lost", merchant_id=merchant_id, reason=reason, since=since)
        for merchant_id in reach.found:
            log.info("shop_found", merchant_id=merchant_id)
        return False
