"""
Failover: what a carrier has not written, or has refused for good, goes to the next carrier of its rule.

A message that may have reached a carrier is never given to another: only what was not written, and what came
back with a status that says "not taken". Each carrier refuses a message once at most, so it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog

from smsgate.flows.batches import Batch
from smsgate.flows.composing import Composer
from smsgate.flows.routes import Routes
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)

DOWN: Final = "down"
REFUSED: Final = "refused"


class Rerouting:
    def __init__(self, pump: Pump, composer: Composer, routes: Routes) -> None:
        self._pump = pump
        self._composer = composer
        self._routes = routes
        # Messages that changed their carrier, by (from, to, why): ids of carriers, for metrics.
        self.moved: Counter[tuple[int, int, str]] = Counter()
        pump.elsewhere = self.refused

    async def look(self) -> bool:
        """Take from carriers that are away what they have not written; False: look again in due time."""
        down = self._routes.down_ids()
        for batch in list(self._pump.batches()) if down else ():
            waits = not (batch.exhausted() or batch.paused or batch.ended)
            if waits and batch.carrier_id in down and batch.way.tiers:
                self._leave(batch)
        return False

    def _leave(self, batch: Batch) -> None:
        carrier_id = self._routes.next_carrier(batch)
        if carrier_id is None:
            return  # it waits for its own carrier
        indexes = batch.take_rest()
        self._pump.hand_over(batch, self._composer.rerouted(batch, indexes, carrier_id))
        self._note(batch, carrier_id, len(indexes), DOWN)

    def refused(self, batch: Batch, indexes: Sequence[int], refused_by: str) -> bool:
        """Give messages that a carrier did not take to the next one; False: there is none."""
        carrier_id = self._routes.next_carrier(batch)
        if carrier_id is None:
            return False
        made = self._composer.rerouted(batch, sorted(indexes), carrier_id, refused_by=refused_by)
        for each, unwritten in made:
            each.begin_again({index for index, _ in unwritten})
        self._pump.hand_over(batch, made)
        self._note(batch, carrier_id, len(indexes), REFUSED)
        return True

    def _note(self, batch: Batch, carrier_id: int, count: int, why: str) -> None:
        self.moved[batch.carrier_id, carrier_id, why] += count
        log.info(
            "messages_rerouted",
            route=batch.way.route,
            from_carrier_id=batch.carrier_id,
            to_carrier_id=carrier_id,
            why=why,
            messages=count,
        )
