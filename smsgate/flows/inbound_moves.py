"""How an MO moves an order: state, stock, the customer's text and the shop's event (campaigns/orders.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from smsgate.campaigns.offer_states import OfferEvent, OfferState, advance_offer
from smsgate.campaigns.orders import (
    LIVE,
    OrderEvent,
    OrderState,
    Step,
    advance,
    changes,
    due_after,
)
from smsgate.campaigns.texts import other_yes, told_word
from smsgate.campaigns.withdrawal import has_right, withdraw_until
from smsgate.flows.inbound_blocks import BlockingCase
from smsgate.flows.inbound_records import OpenOffer, PlacedOrder
from smsgate.flows.order_texts import price_text
from smsgate.flows.records import OfferVersion
from smsgate.security.public_ids import Kind


class OrderMoves(BlockingCase):
    """Every change of an order goes through `_move`: the tables of campaigns/orders.py decide."""

    def _move(
        self,
        found: OpenOffer,
        order: PlacedOrder,
        event: OrderEvent,
        *,
        tell: str | None = None,
        may_withdraw: bool = True,
    ) -> Step:
        """
        Take one event: state, stock, the text for the customer (or `tell`) and the shop's event.

        Without `may_withdraw` a wish to give back what was delivered is the shop's to decide.
        """
        offer, at = found.offer, self._mo.received_at
        step = advance(
            order.state,
            event,
            at=at,
            cancel_until=order.placed_at + timedelta(seconds=offer.terms.cancel_window_s),
            withdraw_until=self._withdraw_until(offer, order),
            may_withdraw=may_withdraw and offer.withdrawal and has_right(offer.country),
            delivered=order.delivered_at is not None,
        )
        if changes(order.state, event, step):
            if step.stock_back and order.stock_held:
                self._take(offer, -order.quantity)
                order.stock_held = False
            order.due = due_after(order.state, event, step, at, order.due)
            order.state = step.state
            order.seq += 1
            if event is OrderEvent.CUSTOMER_OK:
                order.placed_at = at
            self._step(found, order, event)
        if event is OrderEvent.CUSTOMER_OK:
            self._ordered(found, order)
        elif event is OrderEvent.OFFER_ENDED and step.notify is not None:
            self._event(offer.merchant_id, step.notify, Kind.OFFER, offer.offer_id, {})
        elif step.notify is not None:
            self._order_event(found, order, step.notify)
        kind = tell or step.tell
        if kind is not None:
            self._tell_order(found, order, kind)
        return step

    def _ordered(self, found: OpenOffer, order: PlacedOrder) -> None:
        self._answered(found)
        self._count(found.offer.merchant_id, "orders", found.campaign_id)
        self._order_event(found, order, "order.created")

    def _tell_order(self, found: OpenOffer, order: PlacedOrder, kind: str) -> None:
        offer, at, language = found.offer, self._mo.received_at, self._spoken_to(found)
        fields: dict[str, str | int] = {
            "item": offer.item,
            "order": order.number,
            "quantity": order.quantity,
            "maximum": order.quantity,
            "total": price_text(offer.unit_price_minor * order.quantity, offer.currency, language),
            "at": self._clock_text(offer.merchant_id, at),
            "word": other_yes(self._mo.text, order.quantity, language),
        }
        if kind == "order_receipt":
            fields["until"] = self._until_text(offer, order)
        elif kind == "order_withdrawn":  # a dated receipt (Directive 2023/2673)
            zone = ZoneInfo(self._context.merchants[offer.merchant_id].timezone)
            fields["at"] = f"{at.astimezone(zone):%d.%m.%Y %H:%M}"
        elif kind in {"order_stands", "help_order"}:
            card = self._context.merchants[offer.merchant_id]
            fields |= {"word": self._word_to_end(found, order), "contact": card.shown_contact}
        self._tell_about(found, kind, order.order_id, **fields)

    def _until_text(self, offer: OfferVersion, order: PlacedOrder) -> str:
        """Return until when a plain no cancels, with its day where that is another one; "" for no time."""
        window = timedelta(seconds=offer.terms.cancel_window_s)
        if not window:
            return ""
        until = order.placed_at + window
        if window < timedelta(days=1):
            return self._clock_text(offer.merchant_id, until)
        return (
            f"{until.astimezone(ZoneInfo(self._context.merchants[offer.merchant_id].timezone)):%d.%m. %H:%M}"
        )

    def _word_to_end(self, found: OpenOffer, order: PlacedOrder) -> str:
        """Return the word that ends this order before its number; "" when the shop alone can."""
        if order.state in LIVE:
            return told_word("cancel", self._spoken_to(found))
        return told_word("withdraw", self._spoken_to(found)) if self._returnable(found, order) else ""

    def _returnable(self, found: OpenOffer, order: PlacedOrder) -> bool:
        """Return whether the goods came, and their buyer may still withdraw."""
        offer = found.offer
        if order.state is not OrderState.FULFILLED or not (offer.withdrawal and has_right(offer.country)):
            return False
        until = self._withdraw_until(offer, order)
        return until is None or self._mo.received_at <= until

    def _withdraw_until(self, offer: OfferVersion, order: PlacedOrder) -> datetime | None:
        if order.delivered_at is None or not has_right(offer.country):
            return None
        zone = self._context.merchants[offer.merchant_id].timezone
        return withdraw_until(order.delivered_at, offer.country, zone)

    def _orders(self, found: OpenOffer) -> list[PlacedOrder]:
        return self._context.orders.get((found.offer.merchant_id, found.message_id), [])

    def _stock(self, offer: OfferVersion) -> int | None:
        return self._context.stock.get((offer.merchant_id, offer.offer_id))

    def _reserve(self, found: OpenOffer, order: PlacedOrder, quantity: int) -> None:
        """Let the order hold so many pieces."""
        self._take(found.offer, quantity - (order.quantity if order.stock_held else 0))
        order.quantity, order.stock_held = quantity, True

    def _take(self, offer: OfferVersion, pieces: int) -> None:
        """Take pieces out of the stock, or put some back; the caller knows that there are enough."""
        key = (offer.merchant_id, offer.offer_id)
        stock = self._context.stock.get(key)
        if stock is None or not pieces:
            return
        assert stock >= pieces
        self._context.stock[key] = stock - pieces
        step = advance_offer(OfferState.LIVE, OfferEvent.STOCK_GONE)
        if stock == pieces and step.notify is not None:
            self._event(offer.merchant_id, step.notify, Kind.OFFER, offer.offer_id, {})
        self._writes.stock_taken[key] = self._writes.stock_taken.get(key, 0) + pieces


def waiting(orders: list[PlacedOrder]) -> PlacedOrder | None:
    """Return the order that waits for the answer to a second question."""
    asked = [order for order in orders if order.state is OrderState.AWAITING_CONFIRMATION]
    return asked[-1] if asked else None
