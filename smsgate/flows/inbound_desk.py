"""
What one customer's SMS comes to: the reading is pure, the effects are collected, nothing is done yet.

A desk serves one group of MOs in the order of their arrival; what the first one changes (stock, consent,
an order) is what the next one meets.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Final

from smsgate.campaigns.orders import OrderEvent, OrderState, Outcome, advance, judge_acceptance
from smsgate.campaigns.replies import Label, Reading
from smsgate.flows.esme_mos import Taker
from smsgate.flows.inbound_case import LIVE, DeskTools, HumanDecided
from smsgate.flows.inbound_consent import ConsentCase
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundRow,
    InboundWrites,
    OpenOffer,
    OrderRow,
    Person,
    PlacedOrder,
)
from smsgate.flows.records import MobileOriginated
from smsgate.money import minor_to_text
from smsgate.security.public_ids import Kind

CANCEL_WINDOW: Final = timedelta(hours=1)  # the receipt names the time: "NON 74170963" until then
ORDER_NUMBER_MIN: Final = 10_000_000  # eight digits, and none of them is lost when a phone reads a number
ORDER_NUMBERS: Final = 90_000_000
_ORDER_NUMBER: Final = re.compile(r"(?<!\d)[1-9]\d{7}(?!\d)", re.ASCII)
# What a text says that lacks a part; whatever else it seems to say may hang on what is missing.
BELIEVED_INCOMPLETE: Final = frozenset({Label.STOP, Label.DECLINE, Label.HELP})
INCOMPLETE: Final = Reading(Label.UNCLEAR, "incomplete", "A part of the text never came.")
# An order that came to nothing is no reason to refuse the next one.
_ENDED: Final = frozenset(
    {OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.WITHDRAWN}
)


class Desk:
    def __init__(self, context: InboundContext, tools: DeskTools, *, attempt: int = 0) -> None:
        self.context = context
        self.tools = tools
        self.attempt = attempt  # changes the order numbers, should one have met another's
        self.writes = InboundWrites()

    def take(
        self, mo: MobileOriginated, reading: Reading, *, repeated: bool = False, complete: bool = True
    ) -> None:
        """
        Decide one MO; `reading` is what the text says, the context what it answers.

        `repeated` is a text with the octets of an earlier one: a redelivery, unless the person had come back
        (STOP), or another offer has come between (docs/decisions/0009).
        Of a text that is not `complete` only what binds nobody is believed: it never orders.
        """
        taken = mo.destination in self.context.takers
        if not complete and not taken and reading.label not in BELIEVED_INCOMPLETE:
            _Decision(self, mo, INCOMPLETE).record("incomplete")
            return
        case = _Decision(self, mo, reading)
        taker = self.context.takers.get(mo.destination)
        if taker is not None:
            case.hand_over(taker, repeated=repeated)
            return
        if repeated and reading.label is not Label.STOP:
            case.repetition()
            return
        if reading.label is not Label.STOP and case.commanded():
            return
        match reading.label:
            case Label.STOP:
                case.stop(repeated=repeated)
            case Label.START:
                case.start()
            case Label.AUTO:
                case.record("ignored")
            case Label.ACCEPT | Label.QUANTITY if reading.quantity != 0:
                case.accept()
            case Label.DECLINE:
                case.decline()
            case Label.HELP:
                case.help()
            case _:
                case.unclear()

    def rule(self, mo: MobileOriginated, reading: Reading, decided: HumanDecided) -> InboundRow:
        """Carry out what a person decided about a reply; return what is recorded, and not to be written."""
        case = _Decision(self, mo, reading, decided)
        match reading.label:
            case Label.STOP:
                case.stop(repeated=False)
            case Label.DECLINE:
                case.decline()
            case _:
                case.accept()
        row = self.writes.rows[-1]
        self.writes.rows.clear()
        return row


class _Decision(ConsentCase):
    """What each label comes to."""

    def __init__(
        self, desk: Desk, mo: MobileOriginated, reading: Reading, decided: HumanDecided | None = None
    ) -> None:
        super().__init__(desk.context, desk.tools, desk.writes, mo, reading, decided)
        self._attempt = desk.attempt

    # ------------------------------------------------------------ labels

    def hand_over(self, taker: Taker, *, repeated: bool) -> None:
        """The number is an ESME's: it gets the MO, and a STOP or START counts for the number all the same."""
        label = self._reading.label
        if label is Label.STOP:
            self._writes.esmes.note_stop(taker, self._mo, stopped=True)
            self.stop(repeated=repeated)
        if repeated:
            return
        if label is Label.START:
            self._writes.esmes.note_stop(taker, self._mo, stopped=False)
            self.start()
        self._writes.esmes.hand_over_whole(taker, self._mo)
        if not self._is_recorded(taker.merchant_id):
            self.record("handed_over", merchant_id=taker.merchant_id)

    def accept(self) -> None:
        """Take an order; a yes to a double opt-in is no order, and where both wait the person is asked."""
        if self.question:
            if self.offer_waits:
                self.unclear()
            else:
                self.agree()
            return
        quantity = self._reading.quantity or 1
        found = self._open
        if found is None:
            if person := self._first_person():
                self._nothing_open(person)
            else:
                self.record("nobody")
            return
        offer = found.offer
        orders = self._context.orders.get((offer.merchant_id, found.message_id), [])
        standing = [order for order in orders if order.state not in _ENDED]
        key = (offer.merchant_id, offer.offer_id)
        outcome = judge_acceptance(
            quantity=quantity,
            quantity_max=offer.quantity_max,
            stock_left=self._context.stock.get(key),
            received_at=self._mo.received_at,
            expires_at=offer.expires_at,
            open_offer=found.offer_live,
            ordered_before=bool(standing),
            quantity_stated=self._reading.label is Label.QUANTITY,
            total_minor=offer.unit_price_minor * quantity,
        )
        match outcome:
            case Outcome.PLACE:
                self._place(found, quantity, orders)
            case Outcome.REPEATED:
                self._tell_about(found, "already_ordered", item=offer.item, order=standing[-1].number)
                self.record("repeated", found=found)
            case Outcome.OVER_MAXIMUM:
                self._tell_about(found, "over_maximum", item=offer.item, maximum=offer.quantity_max)
                self.record("over_maximum", found=found)
            case Outcome.SOLD_OUT:
                self._tell_about(found, "sold_out", item=offer.item)
                self._answered(found)  # the next offer need not wait for this one's end
                self.record("sold_out", found=found)
            case _:
                self._tell_about(found, "late", item=offer.item)
                self._event(offer.merchant_id, "offer.late_reply", Kind.OFFER, offer.offer_id, {})
                self.record("late", found=found)

    def repetition(self) -> None:
        """
        The carrier's repetition, or the same word said to another offer: who can tell orders nothing.

        Where a live offer waits for its answer the person is asked; otherwise there is nothing to say.
        """
        found = self._open
        waits = found is not None and found.answered_at is None and found.offer_live
        if found is None or not waits or self._mo.received_at > found.offer.expires_at:
            return
        if self._reading.label in {Label.ACCEPT, Label.QUANTITY, Label.DECLINE}:
            if self._may_answer():
                self._tell_about(found, "unclear")
            self.record("repetition", found=found)

    def decline(self) -> None:
        if number := self._order_named():
            self._decline_order(number)
            return
        found = self._open
        if self.question and not self.offer_waits:
            self.disagree()
            return
        if found is None:
            self.record("declined" if self._people else "nobody", person=self._first_person())
            return
        merchant_id = found.offer.merchant_id
        orders = self._context.orders.get((merchant_id, found.message_id), [])
        live = [order for order in orders if order.state in LIVE]
        self._answered(found)
        if live:
            self._cancel(found, live[-1])
            return
        self._count(merchant_id, "declines", found.campaign_id)
        self.record("declined", found=found)

    def _order_named(self) -> str | None:
        """Return the order number beside a no: as it was read, or the only one that the text holds."""
        numbers = order_numbers_in(self._mo.text)
        return self._reading.reference or (numbers[0] if len(numbers) == 1 else None)

    def _decline_order(self, number: str) -> None:
        """NON 74170963: that order, whatever offer is open now; an unknown number is a question."""
        found, order = self._context.named.get((self._mo.msisdn, number), (None, None))
        if found is None or order is None:
            self.unclear()
        elif order.state in LIVE:
            self._cancel(found, order)
        elif order.state is OrderState.CANCELLED:
            self._tell_about(found, "order_cancelled", order.order_id, item=found.offer.item, order=number)
            self.record("cancelled", found=found, order_id=order.order_id)
        else:
            self.unclear()

    def help(self) -> None:
        """Answer with the merchant's contact; the person's limit of answers a day holds."""
        self._question("help", contact=True)

    def unclear(self) -> None:
        """Ask back once, never guess."""
        self._question("unclear", contact=False)

    # ------------------------------------------------------------ orders

    def _place(self, found: OpenOffer, quantity: int, orders: list[PlacedOrder]) -> None:
        offer, mo = found.offer, self._mo
        key = (offer.merchant_id, offer.offer_id)
        nth = len(orders) + 1
        order_id = self._tools.ids.next()
        number = order_number(offer.merchant_id, found.message_id, nth, self._attempt)
        stock = self._context.stock.get(key)
        if stock is not None:
            self._context.stock[key] = stock - quantity
            if stock == quantity:
                self._event(offer.merchant_id, "offer.sold_out", Kind.OFFER, offer.offer_id, {})
            self._writes.stock_taken[key] = self._writes.stock_taken.get(key, 0) + quantity
        at = mo.received_at
        placed = PlacedOrder(order_id, number, OrderState.PLACED, nth, 1, quantity, at)
        self._context.orders.setdefault((offer.merchant_id, found.message_id), []).append(placed)
        total = offer.unit_price_minor * quantity
        self._writes.orders.append(
            OrderRow(
                merchant_id=offer.merchant_id,
                order_id=order_id,
                number=number,
                nth=nth,
                offer=offer,
                campaign_id=found.campaign_id,
                message_id=found.message_id,
                subscriber_id=found.subscriber_id,
                msisdn=mo.msisdn,
                inbound_id=self._inbound_id,
                sender=mo.destination,
                quantity=quantity,
                total_minor=total,
                state=OrderState.PLACED.value,
                at=at,
            )
        )
        self._step(offer.merchant_id, placed, OrderEvent.CUSTOMER_OK)
        self._answered(found)
        self._count(offer.merchant_id, "orders", found.campaign_id)
        self._order_event(found, placed, "order.created")
        self._tell_about(
            found,
            "order_receipt",
            order_id,
            item=offer.item,
            quantity=quantity,
            total=price_text(total, offer.currency, offer.language),
            order=number,
            until=self._clock_text(offer.merchant_id, at + CANCEL_WINDOW),
        )
        self.record("ordered", found=found, order_id=order_id)

    def _cancel(self, found: OpenOffer, order: PlacedOrder) -> None:
        """NON after an order: inside the window it is cancelled, later the shop is asked."""
        offer, at = found.offer, self._mo.received_at
        step = advance(
            order.state, OrderEvent.CUSTOMER_CANCEL, at=at, cancel_until=order.created_at + CANCEL_WINDOW
        )
        if step.state is order.state:
            self._order_event(found, order, step.notify or "")
            self._tell_about(found, "cancel_requested", order.order_id, order=order.number)
            self.record("cancel_requested", found=found, order_id=order.order_id)
            return
        order.state = step.state
        order.seq += 1
        self._step(offer.merchant_id, order, OrderEvent.CUSTOMER_CANCEL)
        key = (offer.merchant_id, offer.offer_id)
        if step.stock_back and (stock := self._context.stock.get(key)) is not None:
            self._context.stock[key] = stock + order.quantity
            self._writes.stock_taken[key] = self._writes.stock_taken.get(key, 0) - order.quantity
        self._order_event(found, order, step.notify or "")
        self._tell_about(
            found,
            step.tell or "",
            order.order_id,
            item=offer.item,
            order=order.number,
            at=self._clock_text(offer.merchant_id, at),
        )
        self.record("cancelled", found=found, order_id=order.order_id)

    # ------------------------------------------------------------ questions

    def _question(self, kind: str, *, contact: bool) -> None:
        found, person = self._open, self._first_person()
        merchant_id = found.offer.merchant_id if found else person.merchant_id if person else None
        if merchant_id is None:
            self.record("nobody")
            return
        if (found is not None or contact) and self._may_answer():
            card = self._context.merchants[merchant_id]
            fields: dict[str, str | int] = {"contact": card.contact or card.name} if contact else {}
            if found is not None:
                self._tell_about(found, kind, **fields)
            elif person is not None:
                self._tell(person, kind, merchant_id, **fields)
        self.record("asked", found=found, person=person)

    def _nothing_open(self, person: Person) -> None:
        """An OK that answers nothing: say so, within the limit, and order nothing."""
        if self._may_answer():
            card = self._context.merchants[person.merchant_id]
            self._tell(person, "help", person.merchant_id, contact=card.contact or card.name)
        self.record("no_open_offer", person=person)


def order_number(merchant_id: int, message_id: int, nth: int, attempt: int) -> str:
    """
    Return the number that buyer and shop use, derived from what was answered: a retry makes the same.

    `attempt` above 0 gives another one, for the rare case that two offers come to the same number.
    """
    seed = f"{merchant_id}|{message_id}|{nth}|{attempt}".encode()
    digest = int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest())
    return str(digest % ORDER_NUMBERS + ORDER_NUMBER_MIN)


def order_numbers_in(text: str) -> list[str]:
    """Return what may be order numbers in a customer's text."""
    return _ORDER_NUMBER.findall(text)


def price_text(minor: int, currency: str, language: str) -> str:
    """Return an amount as people read it in an SMS: the euro sign costs two septets and says it all."""
    amount = minor_to_text(minor, currency)
    if not language.startswith("en"):
        amount = amount.replace(".", ",")
    return f"{amount}€" if currency == "EUR" else f"{amount} {currency}"
