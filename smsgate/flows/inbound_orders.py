"""What an MO does to orders: made, asked about, cancelled, withdrawn from, disputed (campaigns/orders.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from smsgate.campaigns.offer_states import OfferEvent, OfferState, advance_offer
from smsgate.campaigns.order_commands import OrderCommand
from smsgate.campaigns.orders import (
    ACCEPTANCES,
    CANCEL_WINDOW,
    ENDED,
    LIVE,
    OrderEvent,
    OrderState,
    Outcome,
    Step,
    advance,
    changes,
    due_after,
    due_of_new,
    in_time,
    judge_acceptance,
    orderable,
    takes,
)
from smsgate.campaigns.replies import Label, Reading
from smsgate.campaigns.texts import other_yes, told_word
from smsgate.campaigns.withdrawal import has_right, withdraw_until
from smsgate.flows.inbound_blocks import BlockingCase
from smsgate.flows.inbound_case import DeskTools, HumanDecided
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundWrites,
    OpenOffer,
    OrderRow,
    PlacedOrder,
)
from smsgate.flows.order_texts import free_number, order_numbers_in, price_text
from smsgate.flows.records import MobileOriginated, OfferVersion
from smsgate.security.public_ids import Kind

ORDERS_NAMED_MAX: Final = 4  # as many as "which one?" has room for, the newest
ORDERED_WITHIN: Final = timedelta(days=180)  # an order without its number is looked for among these
_EVENTS: Final = {
    OrderCommand.CANCEL: OrderEvent.CUSTOMER_CANCEL,
    OrderCommand.WITHDRAW: OrderEvent.CUSTOMER_WITHDRAW,
    OrderCommand.DISPUTE: OrderEvent.CUSTOMER_DISPUTE,
}
_OUTCOMES: Final = {
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "declined",
    OrderState.WITHDRAWN: "withdrawn",
    OrderState.DISPUTED: "disputed",
}


class OrderCase(BlockingCase):
    """Every change of an order goes through `_move`: the tables of campaigns/orders.py decide."""

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
    ) -> None:
        super().__init__(context, tools, writes, mo, reading, decided)
        self._attempt = attempt

    # ------------------------------------------------------------ OK

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
        asked = _asked(orders)
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

    def ask_again(self, found: OpenOffer) -> bool:
        """Repeat the question that waits for its answer; False: there is none."""
        asked = _asked(self._orders(found))
        if asked is not None:
            self._tell_order(found, asked, "confirm_question")
        return asked is not None

    def _refuse(self, found: OpenOffer, outcome: Outcome, standing: list[PlacedOrder]) -> None:
        """Nothing is ordered; the customer hears why, the shop what it lost."""
        acceptance, offer = ACCEPTANCES[outcome], found.offer
        if outcome is Outcome.REPEATED:
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

    def _ordered(self, found: OpenOffer, order: PlacedOrder) -> None:
        self._answered(found)
        self._count(found.offer.merchant_id, "orders", found.campaign_id)
        self._order_event(found, order, "order.created")

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

    # ------------------------------------------------------------ NO, and what is wanted of an order

    def decline(self) -> None:
        if number := self._order_named():
            self._decline_order(number)
            return
        found = self._open
        if found is None:
            self.record("declined" if self._people else "nobody", person=self._first_person())
            return
        orders = self._orders(found)
        asked, live = _asked(orders), [order for order in orders if order.state in LIVE]
        self._answered(found)
        if asked is not None:
            self._move(found, asked, OrderEvent.CUSTOMER_NO)
            self.record("declined", found=found, order_id=asked.order_id)
        elif len(live) > 1:
            self._which(found, live, OrderCommand.CANCEL)
        elif live:
            self._move_and_record(found, live[0], OrderEvent.CUSTOMER_NO, record=True)
        else:
            self._count(found.offer.merchant_id, "declines", found.campaign_id)
            self.record("declined", found=found)

    def ordered_away(self, command: OrderCommand, *, record: bool) -> bool:
        """Do what the text wants done with an order of this person; False: none that it could mean."""
        event = _EVENTS[command]
        mine = {
            number: found
            for (msisdn, number), found in self._context.named.items()
            if msisdn == self._mo.msisdn and takes(found[1].state, event)
        }
        named = [mine[number] for number in order_numbers_in(self._mo.text) if number in mine]
        meant = named or [each for each in mine.values() if each[1].state not in ENDED]
        if not meant:
            return False
        newest = max(meant, key=lambda each: each[1].order_id)
        if len(meant) > 1 and command is not OrderCommand.DISPUTE:
            same = [order for found, order in meant if found.offer.merchant_id == newest[0].offer.merchant_id]
            self._which(newest[0], same, command, record=record)
            return True
        self._move_and_record(*newest, event, record=record)
        return True

    def _order_named(self) -> str | None:
        """Return the order number beside a no: as it was read, or the only one that the text holds."""
        numbers = order_numbers_in(self._mo.text)
        return self._reading.reference or (numbers[0] if len(numbers) == 1 else None)

    def _decline_order(self, number: str) -> None:
        """NON 74170963: that order, whatever offer is open now; an unknown number is a question."""
        found, order = self._context.named.get((self._mo.msisdn, number), (None, None))
        if found is None or order is None or not takes(order.state, OrderEvent.CUSTOMER_NO):
            self.unclear()
        else:
            self._move_and_record(found, order, OrderEvent.CUSTOMER_NO, record=True)

    def _which(
        self, found: OpenOffer, orders: list[PlacedOrder], command: OrderCommand, *, record: bool = True
    ) -> None:
        """Several orders may be meant: nothing happens to any before the customer said which."""
        newest = sorted(orders, key=lambda order: order.order_id)[-ORDERS_NAMED_MAX:]
        word = told_word("withdraw" if command is OrderCommand.WITHDRAW else "cancel", self._spoken_to(found))
        self._tell_about(found, "which_order", word=word, orders=", ".join(order.number for order in newest))
        if record:
            self.record("which_order", found=found)

    def _move_and_record(
        self, found: OpenOffer, order: PlacedOrder, event: OrderEvent, *, record: bool
    ) -> None:
        step = self._move(found, order, event)
        if record:
            requested = step.notify == "order.cancel_requested"
            outcome = "cancel_requested" if requested else _OUTCOMES[order.state]
            self.record(outcome, found=found, order_id=order.order_id)

    # ------------------------------------------------------------ what they share

    def _move(
        self, found: OpenOffer, order: PlacedOrder, event: OrderEvent, *, tell: str | None = None
    ) -> Step:
        """Take one event: state, stock, the text for the customer (or `tell`) and the shop's event."""
        offer, at = found.offer, self._mo.received_at
        step = advance(
            order.state,
            event,
            at=at,
            cancel_until=order.placed_at + CANCEL_WINDOW,
            withdraw_until=self._withdraw_until(offer, order),
            may_withdraw=offer.withdrawal and has_right(offer.country),
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
            fields["until"] = self._clock_text(offer.merchant_id, order.placed_at + CANCEL_WINDOW)
        elif kind == "order_withdrawn":  # a dated receipt (Directive 2023/2673)
            zone = ZoneInfo(self._context.merchants[offer.merchant_id].timezone)
            fields["at"] = f"{at.astimezone(zone):%d.%m.%Y %H:%M}"
        self._tell_about(found, kind, order.order_id, **fields)

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


def _asked(orders: list[PlacedOrder]) -> PlacedOrder | None:
    """Return the order that waits for the answer to a second question."""
    waiting = [order for order in orders if order.state is OrderState.AWAITING_CONFIRMATION]
    return waiting[-1] if waiting else None
