"""What a yes does: an order is made, asked about, or refused with the reason (campaigns/orders.py)."""

from __future__ import annotations

from smsgate.campaigns.orders import (
    ACCEPTANCES,
    ENDED,
    OrderEvent,
    OrderState,
    Outcome,
    due_of_new,
    in_time,
    judge_acceptance,
    orderable,
)
from smsgate.campaigns.replies import Label, Reading
from smsgate.flows.inbound_case import DeskTools, HumanDecided
from smsgate.flows.inbound_moves import waiting
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundWrites,
    OpenOffer,
    OrderRow,
    PlacedOrder,
)
from smsgate.flows.inbound_wishes import WishCase
from smsgate.flows.order_texts import free_number
from smsgate.flows.records import MobileOriginated
from smsgate.security.public_ids import Kind


class OrderCase(WishCase):
    def __init__(
        self,
        context: InboundContext,
        tools: DeskTools,
        writes: InboundWrites,
        mo: MobileOriginated,
        reading: Reading,
        decided: HumanDecided | None = None,
        *,
        attempt: int,
        complete: bool = True,
    ) -> None:
        super().__init__(context, tools, writes, mo, reading, decided, complete=complete)
        self._attempt = attempt

    def accept(self) -> None:
        """Take an order; what answers a double opt-in (`answered_question`) does not come here."""
        found = self._open
        if found is None:
            if person := self._first_person():
                self._nothing_open(person)
            else:
                self.record("nobody")
            return
        orders = self._orders(found)
        asked = waiting(orders)
        if asked is not None:
            self._answer_question(found, asked)
            return
        quantity = self._reading.quantity or 1
        offer = found.offer
        standing = [order for order in orders if order.state not in ENDED]
        outcome = judge_acceptance(
            quantity=quantity,
            quantity_max=offer.quantity_max,
            stock_left=self._stock(offer),
            received_at=self._mo.received_at,
            expires_at=offer.expires_at,
            open_offer=found.offer_live,
            ordered_before=bool(standing),
            quantity_stated=self._reading.label is Label.QUANTITY,
            total_minor=offer.unit_price_minor * quantity,
            ask_above_minor=offer.ask_above_minor,
        )
        match outcome:
            case Outcome.PLACE | Outcome.ASK:
                self._make(found, outcome, quantity, orders)
            case Outcome.OVER_MAXIMUM:
                self._make(found, outcome, orderable(offer.quantity_max, self._stock(offer)), orders)
            case _:
                self._refuse(found, outcome, standing)

    def _refuse(self, found: OpenOffer, outcome: Outcome, standing: list[PlacedOrder]) -> None:
        """Nothing is ordered; the customer hears why, the shop what it lost."""
        acceptance, offer = ACCEPTANCES[outcome], found.offer
        if outcome is Outcome.REPEATED and self._state_text(found) != "unclear":
            self._tell_order(found, standing[-1], "order_stands")  # there is nothing to order one more of
        elif outcome is Outcome.REPEATED:
            self._tell_about(found, acceptance.tell, item=offer.item, order=standing[-1].number)
        else:
            self._tell_about(found, acceptance.tell, item=offer.item)
        if outcome in {Outcome.SOLD_OUT, Outcome.CLOSED}:
            self._answered(found)  # told so: the next offer need not wait for this one's end
        if acceptance.notify is not None:
            self._event(offer.merchant_id, acceptance.notify, Kind.OFFER, offer.offer_id, {})
        self.record(outcome.value, found=found)

    def _make(self, found: OpenOffer, outcome: Outcome, quantity: int, orders: list[PlacedOrder]) -> None:
        acceptance, offer, mo = ACCEPTANCES[outcome], found.offer, self._mo
        assert acceptance.state is not None
        nth, placed = len(orders) + 1, acceptance.state is OrderState.PLACED
        self._take(offer, quantity)
        event = OrderEvent.CUSTOMER_OK if placed else OrderEvent.CUSTOMER_NUMBER
        order = PlacedOrder(
            order_id=self._tools.ids.next(),
            number=free_number(
                self._context.numbers_taken, offer.merchant_id, found.message_id, nth, self._attempt
            ),
            state=acceptance.state,
            nth=nth,
            seq=1,
            quantity=quantity,
            created_at=mo.received_at,
            placed_at=mo.received_at,
            due=due_of_new(event, mo.received_at),
        )
        self._context.orders.setdefault((offer.merchant_id, found.message_id), []).append(order)
        self._context.named[mo.msisdn, order.number] = (found, order)
        self._writes.orders.append(
            OrderRow(
                merchant_id=offer.merchant_id,
                order_id=order.order_id,
                number=order.number,
                nth=nth,
                offer=offer,
                campaign_id=found.campaign_id,
                message_id=found.message_id,
                subscriber_id=found.subscriber_id,
                msisdn=mo.msisdn,
                inbound_id=self._inbound_id,
                sender=mo.destination,
                quantity=quantity,
                total_minor=offer.unit_price_minor * quantity,
                state=order.state.value,
                at=mo.received_at,
                due=order.due,
            )
        )
        self._step(found, order, event)
        if placed:
            self._ordered(found, order)
        self._tell_order(found, order, acceptance.tell)
        self.record("ordered" if placed else outcome.value, found=found, order_id=order.order_id)

    def _answer_question(self, found: OpenOffer, order: PlacedOrder) -> None:
        """A yes to the second question, or to "at most 5"; another number is another question."""
        offer, at = found.offer, self._mo.received_at
        stated = self._reading.label is Label.QUANTITY
        quantity = (self._reading.quantity or 1) if stated else order.quantity
        if not (found.offer_live and in_time(at, offer.expires_at)):
            self._move(found, order, OrderEvent.OFFER_ENDED)
            self._answered(found)
            self.record("late", found=found, order_id=order.order_id)
            return
        stock, held = self._stock(offer), order.quantity if order.stock_held else 0
        left = None if stock is None else stock + held
        if left == 0 or (left is not None and left < quantity and not stated):
            self._move(found, order, OrderEvent.STOCK_GONE)
            self._answered(found)
            self.record("sold_out", found=found, order_id=order.order_id)
            return
        most = orderable(offer.quantity_max, left)
        total = offer.unit_price_minor * quantity
        costly = offer.ask_above_minor is not None and total > offer.ask_above_minor
        if quantity > most or (costly and quantity != order.quantity):
            self._reserve(found, order, min(quantity, most))
            self._move(
                found, order, OrderEvent.CUSTOMER_NUMBER, tell="over_maximum" if quantity > most else None
            )
            self.record("over_maximum" if quantity > most else "ask", found=found, order_id=order.order_id)
            return
        self._reserve(found, order, quantity)
        self._move(found, order, OrderEvent.CUSTOMER_OK)
        self.record("ordered", found=found, order_id=order.order_id)
