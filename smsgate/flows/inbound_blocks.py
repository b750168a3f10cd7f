"""What an MO says that a person has to look at: a block for every merchant, a number that changed hands."""

from __future__ import annotations

from collections.abc import Sequence

from smsgate.campaigns.blocks import REASSIGNED, BlockCase, block_case
from smsgate.campaigns.consent import ConsentEvent, ConsentState
from smsgate.campaigns.consent_commands import ALL_PURPOSES, named_merchants, start_name
from smsgate.campaigns.orders import LIVE
from smsgate.flows.inbound_joining import JoiningCase
from smsgate.flows.inbound_records import Person
from smsgate.security.suppression import EVERYBODY

ASKS_BACK_IN = "The number is blocked, and asks with START to come back: lift the block, or leave it."


class BlockingCase(JoiningCase):
    """Each of these waits in the inbox of every merchant that it concerns, with one sentence why."""

    def stop(self, *, repeated: bool) -> None:
        found = block_case(self._mo.text)
        if found is None:
            super().stop(repeated=repeated)
            return
        everyone = self._context.people.get(self._mo.msisdn, [])
        ends_as = ConsentState.EXPIRED if found.reason == REASSIGNED else ConsentState.BLOCKED
        if repeated and all(person.offers_state is ends_as for person in everyone):
            return
        if found.reason == REASSIGNED:
            self._reassign(everyone, found)
        else:
            self._block(everyone, found)
        self._close_offers({person.merchant_id for person in everyone}, plain=True)

    def _block(self, everyone: Sequence[Person], found: BlockCase) -> None:
        """Wrong person, death, child, complaint: no merchant writes to this number any more."""
        self._writes.blocked[self._mo.msisdn] = found.reason
        blocked = [person for person in everyone if person.offers_state is not ConsentState.BLOCKED]
        self._end(everyone, ConsentEvent.COMPLAINT, found, "blocked")
        if blocked and found.reason != "death":
            self._tell(blocked[0], "apology", blocked[0].merchant_id)

    def _reassign(self, everyone: Sequence[Person], found: BlockCase) -> None:
        """What the former owner agreed to is void, also what is brought later; nothing is told."""
        self._writes.number_stops[EVERYBODY, self._mo.msisdn] = self._mo.received_at
        self._end(everyone, ConsentEvent.REASSIGNED, found, "reassigned")

    def _end(self, everyone: Sequence[Person], event: ConsentEvent, found: BlockCase, outcome: str) -> None:
        for person in everyone:
            self._apply(person, event, ALL_PURPOSES, reason=found.reason)
            self._count(person.merchant_id, "stops")
            orders = self._live_orders(person.merchant_id)
            open_orders = f" Orders that are open: {', '.join(orders)}." if orders else ""
            self.record(outcome, person=person, reason=found.says + open_orders)
        if not everyone:
            self.record("nobody")

    def _live_orders(self, merchant_id: int) -> list[str]:
        """Return the numbers of the open orders from this number that are known here."""
        return sorted(
            {
                order.number
                for (msisdn, _), (found, order) in self._context.named.items()
                if msisdn == self._mo.msisdn
                and found.offer.merchant_id == merchant_id
                and order.state in LIVE
            }
        )

    def start(self) -> None:
        """Nobody comes back from a block by a word: say so, and have a person look at it."""
        named = named_merchants(start_name(self._mo.text), self._names(self._people))
        asked = [person for person in self._people if person.merchant_id in named] or self._people
        if not asked or any(person.offers_state is not ConsentState.BLOCKED for person in asked):
            super().start()
            return
        for person in asked:
            self.record("start_refused", person=person, reason=ASKS_BACK_IN)
        if self._may_answer():
            card = self._context.merchants[asked[0].merchant_id]
            self._tell(asked[0], "start_blocked", card.merchant_id, contact=card.shown_contact)
