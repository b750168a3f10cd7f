"""
Failover: what a carrier has not written, or has refused for good, goes to the next carrier of its rule.

A message that may have reached a carrier is never given to another: only what was not written, and what came
back with a status that says "not taken". Each carrier refuses a message once at most, so it ends. A long text
goes whole or stays: its parts are put together by the numbers and the sender of one carrier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.flows.batches import Batch
from smsgate.flows.composing import Composer, Made
from smsgate.flows.routes import SENDER_UNKNOWN, Routes
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)

DOWN: Final = "down"
REFUSED: Final = "refused"
UNWRITABLE: Final = "unwritable"


class Rerouting:
    def __init__(self, pump: Pump, composer: Composer, routes: Routes, clock: Clock) -> None:
        self._pump = pump
        self._composer = composer
        self._routes = routes
        self._clock = clock
        # Messages that changed their carrier, by (from, to, why): ids of carriers, for metrics.
        self.moved: Counter[tuple[int, int, str]] = Counter()
        pump.elsewhere, pump.unwritable = self.refused, self.unwritable

    async def look(self) -> bool:
        """Take from carriers that are away what they have not written; False: look again in due time."""
        away, known = self._routes.down_ids(), self._routes.known_ids()
        for batch in list(self._pump.batches()):
            if batch.exhausted() or batch.paused or batch.ended:
                continue
            if batch.carrier_id not in known:
                self._leave(batch, self._routes.owner(batch.sender))
            elif batch.carrier_id in away and batch.way.tiers:
                self._leave(batch, batch.carrier_id)
        return False

    def _leave(self, batch: Batch, otherwise: int | None) -> None:
        """Hand over what was not written; to `otherwise` when the rule has nobody."""
        carrier_id = self._routes.next_carrier(batch) or otherwise
        if carrier_id is None:
            self._let_wait(batch)
            return
        if carrier_id == batch.carrier_id:
            return  # it waits for its own carrier
        if indexes := batch.take_rest():
            made = self._composer.rerouted(batch, indexes, carrier_id)
            self._pump.hand_over(batch, len(indexes), made)
            self._note(batch, indexes, made, DOWN)
        if batch.carrier_id not in self._routes.known_ids() and not batch.exhausted():
            # Parts of long texts that it has begun: it is not there to bring the others.
            self._pump.give_up(batch, SENDER_UNKNOWN, self._clock.now())

    def _let_wait(self, batch: Batch) -> None:
        """Nobody has the sender any more: what was not written waits, as what was not claimed, for one to."""
        if batch.chunk is not None:
            self._pump.give_back(batch.chunk)
            return
        rest = batch.drop_rest()
        whole = rest if batch.parts is None else batch.parts.whole(rest)
        if whole:
            let_go(self._pump, batch, whole)
        if begun := sorted(set(rest).difference(whole)):
            batch.retry.extend(begun)
            self._pump.give_up(batch, SENDER_UNKNOWN, self._clock.now())

    def recut(self) -> None:
        """Write long texts that no part was taken of anew, as their carriers want them from now on."""
        known = self._routes.known_ids()
        for batch in list(self._pump.batches()):
            if batch.parts is None or batch.ended or batch.carrier_id not in known:
                continue
            if indexes := batch.take_rest():
                made = self._composer.rerouted(batch, indexes, batch.carrier_id)
                self._pump.hand_over(batch, len(indexes), made)

    def refused(self, batch: Batch, indexes: Sequence[int], refused_by: str) -> bool:
        """Give messages that a carrier did not take to the next one; False: there is none."""
        return self._hand_on(batch, indexes, self._routes.next_carrier(batch), refused_by, REFUSED)

    def unwritable(self, batch: Batch, indexes: Sequence[int], by: str) -> bool:
        """Give messages that a carrier cannot write to the next one, also to one that is away."""
        carrier_id = self._routes.next_carrier(batch, may_wait=True)
        return self._hand_on(batch, indexes, carrier_id, by, UNWRITABLE)

    def _hand_on(
        self, batch: Batch, indexes: Sequence[int], carrier_id: int | None, tried: str, why: str
    ) -> bool:
        if carrier_id is None:
            return False
        indexes = sorted(indexes)
        made = self._composer.rerouted(batch, indexes, carrier_id, refused_by=tried)
        for each, unwritten in made:
            each.begin_again({index for index, _ in unwritten})
        self._pump.hand_over(batch, len(indexes), made)
        self._note(batch, indexes, made, why)
        return True

    def _note(self, batch: Batch, indexes: Sequence[int], made: Made, why: str) -> None:
        """Count the entries `indexes` by the carrier that their messages are at now."""
        at = {message_id: each.carrier_id for each, _ in made for message_id in each.message_ids}
        for carrier_id, count in Counter(at[batch.message_ids[index]] for index in indexes).items():
            if carrier_id == batch.carrier_id:
                continue  # nobody else can write them: they wait for their own carrier
            self.moved[batch.carrier_id, carrier_id, why] += count
            log.info(
                "messages_rerouted",
                route=batch.way.route,
                from_carrier_id=batch.carrier_id,
                to_carrier_id=carrier_id,
                why=why,
                messages=count,
            )


def let_go(pump: Pump, batch: Batch, indexes: Sequence[int]) -> None:
    """Hold no longer what was not written: found forgotten it waits, and whoever claims it reads consent."""
    pump.held_messages.difference_update((batch.merchant_id, batch.message_ids[i]) for i in indexes)
    pump.forgotten = True
    pump.hand_over(batch, len(indexes), [])
