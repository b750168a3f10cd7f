"""
What a merchant changes about an offer that may be out: its stock, a new version, its withdrawal.

Each is judged under the offer's lock, by the table of campaigns/offer_states.py: an acceptance comes before
or after it. A version that people have keeps its terms: whoever answers it orders by it, until it ends or
is withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from smsgate.campaigns.offer_states import OfferEvent, OfferStep, advance_offer
from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid
from smsgate.flows.commerce_records import EventColumns, OfferChange
from smsgate.flows.events import add_event, offer_data
from smsgate.flows.offer_records import OfferDraft, OfferRecord
from smsgate.flows.offers import STOCK_MAX, Offers
from smsgate.flows.ports import Ids, StopSet, Wakeups
from smsgate.flows.ports_commerce import OffersStore
from smsgate.protocol.tlvs import parse_tlvs
from smsgate.security.public_ids import Kind, PublicIds

log = structlog.get_logger(__name__)

VERSIONS_MAX: Final = 100  # of one offer: all fit in one answer


class OfferChanges:
    def __init__(
        self,
        store: OffersStore,
        offers: Offers,
        ids: Ids,
        public_ids: PublicIds,
        clock: Clock,
        *,
        stops: StopSet,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._offers = offers
        self._ids = ids
        self._public_ids = public_ids
        self._clock = clock
        self._stops = stops
        self._wakeups = wakeups

    def now(self) -> datetime:
        return self._clock.now()

    async def versions(self, merchant_id: int, offer_id: int) -> Sequence[OfferRecord]:
        """Return every version, the newest first."""
        return await self._store.versions(merchant_id, offer_id, VERSIONS_MAX)

    async def withdraw(self, merchant_id: int, offer_id: int) -> OfferRecord:
        """
        Close an offer for good, all its versions: nothing more of it leaves, and no answer orders.

        Orders that are placed stand. A repetition changes nothing.
        """

        def judge(before: OfferRecord) -> OfferChange | None:
            step = self._step(before, OfferEvent.WITHDRAW)
            after = replace(before, withdrawn=True)
            return None if after == before else self._change(after, step, step.notify)

        return await self._do(merchant_id, offer_id, judge)

    async def set_stock(self, merchant_id: int, offer_id: int, stock: int) -> OfferRecord:
        """
        Have `stock` pieces in all, those that are sold included.

        Raises:
            Conflict: code `stock_sold`: more are sold; or `stock_not_counted`: nobody counted them.
            TransitionRefused: code `offer_closed`; it is withdrawn.
        """
        if not 0 <= stock <= STOCK_MAX:
            raise Invalid(f"stock must be 0 to {STOCK_MAX}", pointer="/stock")

        def judge(before: OfferRecord) -> OfferChange | None:
            if before.stock is None or before.stock_remaining is None:
                raise Conflict(
                    "the stock of this offer is not counted: nobody knows what is sold; make another offer",
                    code="stock_not_counted",
                    pointer="/stock",
                )
            sold = before.stock - before.stock_remaining
            if stock < sold:
                raise Conflict(
                    f"{sold} are sold or held for an answer: the stock cannot be {stock}",
                    code="stock_sold",
                    pointer="/stock",
                    extra={"sold": sold},
                )
            left = stock - sold
            gone = left == 0 < before.stock_remaining
            step = self._step(before, OfferEvent.STOCK_GONE if gone else OfferEvent.RESTOCK)
            after = replace(before, stock=stock, stock_remaining=left)
            return None if after == before else self._change(after, step, "offer.stock_changed", step.notify)

        return await self._do(merchant_id, offer_id, judge)

    async def publish(self, merchant_id: int, offer_id: int, wishes: Mapping[str, Any]) -> OfferRecord:
        """
        Publish a new version: the newest with other values of `wishes`, by the names of `OfferDraft`.

        What was sent keeps its version. Campaigns that still send an older one end; drafts take the new one.

        Raises:
            TransitionRefused: code `offer_closed`; it is withdrawn.
            Invalid: code `version_unchanged`; it would be the same again. Conflict: VERSIONS_MAX are there.
            DomainError: what `Offers.check` says.
        """
        merchant = await self._store.merchant(merchant_id)

        def judge(before: OfferRecord) -> OfferChange | None:
            step = self._step(before, OfferEvent.NEW_VERSION)
            if before.offer.version >= VERSIONS_MAX:
                raise Conflict(f"an offer has at most {VERSIONS_MAX} versions: make another one")
            checked = self._offers.check(merchant, _draft(before, wishes), self._clock.now())
            same = replace(checked.offer, offer_id=offer_id, version=before.offer.version)
            if same == before.offer:
                raise Invalid("nothing of the offer changes", code="version_unchanged")
            after = replace(
                before,
                offer=replace(same, version=before.offer.version + 1),
                replacements=checked.replacements,
            )
            return self._change(after, step, step.notify)

        return await self._do(merchant_id, offer_id, judge)

    def _step(self, before: OfferRecord, event: OfferEvent) -> OfferStep:
        return advance_offer(before.state_at(self.now()), event)

    def _change(self, after: OfferRecord, step: OfferStep, *notify: str | None) -> OfferChange:
        now, offer, events = self.now(), after.offer, EventColumns()
        for type_ in notify:
            if type_ is not None:
                add_event(
                    events,
                    merchant_id=offer.merchant_id,
                    event_id=self._ids.next(),
                    type_=type_,
                    subject=self._public_ids.encode(Kind.OFFER, offer.offer_id),
                    data=offer_data(after, self._public_ids, now),
                    at=now,
                )
        return OfferChange(after, step.drop, events, now)

    async def _do(
        self, merchant_id: int, offer_id: int, judge: Callable[[OfferRecord], OfferChange | None]
    ) -> OfferRecord:
        changes: list[OfferChange | None] = []

        def judged(before: OfferRecord) -> OfferChange | None:
            changes[:] = [judge(before)]
            return changes[0]

        after, ended = await self._store.change(merchant_id, offer_id, judged)
        if changes[0] is None:
            return after
        drop = changes[0].drop
        for campaign_id in ended:  # in this process at once; others hear it with the commit
            assert drop is not None
            self._stops.end(merchant_id, campaign_id, drop, self._clock.monotonic())
        log.info(
            "offer_changed",
            merchant_id=merchant_id,
            offer_id=offer_id,
            version=after.offer.version,
            state=after.state_at(self.now()).value,
            campaigns_ended=len(ended),
        )
        if ended:
            self._wakeups.campaigns()
        self._wakeups.deliveries()
        return after


def _draft(before: OfferRecord, wishes: Mapping[str, Any]) -> OfferDraft:
    """Return the newest version as its merchant would ask for it, with other values of `wishes`."""
    offer = before.offer
    draft = OfferDraft(
        text=offer.text,
        item=offer.item,
        unit_price_minor=offer.unit_price_minor,
        sender=offer.sender,
        expires_at=offer.expires_at,
        currency=offer.currency,
        shop_name=offer.shop_name,
        language=offer.language,
        country=offer.country,
        quantity_max=offer.quantity_max,
        sender_pool=tuple(offer.sender_pool),
        ask_above_minor=offer.ask_above_minor,
        withdrawal=offer.withdrawal,
        terms=offer.terms,
        tlvs=parse_tlvs(offer.tlvs, 0, len(offer.tlvs))[0],
    )
    return replace(draft, **wishes)
