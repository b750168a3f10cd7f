"""
What one customer's SMS comes to: the reading is pure, the effects are collected, nothing is done yet.

A desk serves one group of MOs in the order of their arrival; what the first one changes (stock, consent,
an order) is what the next one meets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import orjson

from smsgate.campaigns.consent import ConsentEvent, ConsentState, decide
from smsgate.campaigns.orders import OrderEvent, OrderState, Outcome, advance, judge_acceptance
from smsgate.campaigns.replies import Label, Reading
from smsgate.campaigns.texts import system_text
from smsgate.flows.answer_limit import AnswerLimit
from smsgate.flows.inbound_records import (
    ConsentRow,
    InboundContext,
    InboundRow,
    InboundWrites,
    OpenOffer,
    OrderRow,
    OrderStepRow,
    Person,
    PlacedOrder,
)
from smsgate.flows.ports import Ids
from smsgate.flows.records import MobileOriginated
from smsgate.money import minor_to_text
from smsgate.security.public_ids import Kind, PublicIds

CANCEL_WINDOW: Final = timedelta(hours=1)  # the receipt names the time: "NON 7KQ2M9XD" until then
ANSWER_VALID: Final = timedelta(hours=6)  # an answer that comes later explains nothing any more
ORDER_NUMBER_DIGITS: Final = 8
_GATEWAY: Final = 0  # inbound rows that concern no merchant


@dataclass(frozen=True, slots=True)
class DeskTools:
    ids: Ids
    public_ids: PublicIds
    limit: AnswerLimit
    may_use: Callable[[str, str], bool]  # (sender number, merchant's slug)


class Desk:
    def __init__(self, context: InboundContext, tools: DeskTools, *, attempt: int = 0) -> None:
        self.context = context
        self.tools = tools
        self.attempt = attempt  # changes the order numbers, should one have met another's
        self.writes = InboundWrites()

    def take(self, mo: MobileOriginated, reading: Reading) -> None:
        """Decide one MO; `reading` is what the text says, the context what it answers."""
        inbound_id = self.tools.ids.next()
        case = _Case(self, mo, reading, inbound_id)
        match reading.label:
            case Label.STOP:
                case.stop()
            case Label.START:
                case.start()
            case Label.AUTO:
                case.record("ignored")
            case Label.ACCEPT | Label.QUANTITY:
                case.accept()
            case Label.DECLINE:
                case.decline()
            case Label.HELP:
                case.help()
            case _:
                case.unclear()


class _Case:
    """One MO on the desk."""

    def __init__(self, desk: Desk, mo: MobileOriginated, reading: Reading, inbound_id: int) -> None:
        self._context = desk.context
        self._tools = desk.tools
        self._attempt = desk.attempt
        self._writes = desk.writes
        self._mo = mo
        self._reading = reading
        self._inbound_id = inbound_id
        self._open = self._context.open_offers.get((mo.msisdn, mo.destination))
        self._people = [
            person
            for person in self._context.people.get(mo.msisdn, [])
            if self._tools.may_use(mo.destination, self._context.merchants[person.merchant_id].slug)
        ]

    # ------------------------------------------------------------ labels

    def stop(self) -> None:
        """STOP concerns every merchant that may write to this person from this number."""
        confirmed = False
        for person in self._people:
            decision = decide(person.offers_state, ConsentEvent.STOP, evidence_at=self._mo.received_at)
            self._consent(person, ConsentEvent.STOP, decision.state)
            self._writes.stops.append((person.merchant_id, self._mo.msisdn))
            self._count(person.merchant_id, "stops")
            self.record("stopped", person=person)
            if decision.tell and not confirmed:
                confirmed = True
                self._tell(
                    person, decision.tell, person.merchant_id, order=self._last_order(person.merchant_id)
                )
        if not self._people:
            self.record("nobody")
        if self._open is not None:
            self._writes.closed.add((self._mo.msisdn, self._mo.destination))
            del self._context.open_offers[self._mo.msisdn, self._mo.destination]

    def start(self) -> None:
        told = False
        for person in self._people:
            decision = decide(person.offers_state, ConsentEvent.START, evidence_at=self._mo.received_at)
            if not decision.accepted:
                self.record("refused", person=person)
                continue
            self._consent(person, ConsentEvent.START, decision.state)
            self._writes.starts.append((person.merchant_id, self._mo.msisdn, self._mo.destination))
            self.record("started", person=person)
            if decision.tell and not told:
                told = True
                self._tell(person, decision.tell, person.merchant_id)
        if not self._people:
            self.record("nobody")

    def accept(self) -> None:
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
        key = (offer.merchant_id, offer.offer_id)
        outcome = judge_acceptance(
            quantity=quantity,
            quantity_max=offer.quantity_max,
            stock_left=self._context.stock.get(key),
            received_at=self._mo.received_at,
            expires_at=offer.expires_at,
            open_offer=found.offer_live,
            ordered_before=bool(orders),
            quantity_stated=self._reading.label is Label.QUANTITY,
            total_minor=offer.unit_price_minor * quantity,
        )
        match outcome:
            case Outcome.PLACE:
                self._place(found, quantity, orders)
            case Outcome.REPEATED:
                self._tell_about(found, "already_ordered", item=offer.item, order=orders[-1].number)
                self.record("repeated", found=found)
            case Outcome.OVER_MAXIMUM:
                self._tell_about(found, "over_maximum", item=offer.item, maximum=offer.quantity_max)
                self.record("over_maximum", found=found)
            case Outcome.SOLD_OUT:
                self._tell_about(found, "sold_out", item=offer.item)
                self._event(offer.merchant_id, "offer.sold_out", Kind.OFFER, offer.offer_id, {})
                self.record("sold_out", found=found)
            case _:
                self._tell_about(found, "late", item=offer.item)
                self._event(offer.merchant_id, "offer.late_reply", Kind.OFFER, offer.offer_id, {})
                self.record("late", found=found)

    def decline(self) -> None:
        found = self._open
        if found is None:
            self.record("declined" if self._people else "nobody", person=self._first_person())
            return
        merchant_id = found.offer.merchant_id
        orders = self._context.orders.get((merchant_id, found.message_id), [])
        live = [order for order in orders if order.state in {OrderState.PLACED, OrderState.CONFIRMED}]
        if self._reading.reference is not None:
            live = [order for order in live if order.number == self._reading.reference]
        self._writes.answered[self._mo.msisdn, self._mo.destination] = self._mo.received_at
        if live:
            self._cancel(found, live[-1])
            return
        self._count(merchant_id, "declines", found.campaign_id)
        self.record("declined", found=found)

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
        self._writes.answered[mo.msisdn, mo.destination] = at
        self._count(offer.merchant_id, "orders", found.campaign_id)
        self._event(
            offer.merchant_id, "order.created", Kind.ORDER, order_id, self._order_data(found, placed, total)
        )
        self._tell_about(
            found,
            "order_receipt",
            order_id,
            item=offer.item,
            quantity=quantity,
            total=price_text(total, offer.currency),
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
        total = offer.unit_price_minor * order.quantity
        data = self._order_data(found, order, total)
        if step.state is order.state:
            self._event(offer.merchant_id, step.notify or "", Kind.ORDER, order.order_id, data)
            self.record("cancel_requested", found=found, order_id=order.order_id)
            return
        order.state = step.state
        order.seq += 1
        self._step(offer.merchant_id, order, OrderEvent.CUSTOMER_CANCEL)
        key = (offer.merchant_id, offer.offer_id)
        if step.stock_back and (stock := self._context.stock.get(key)) is not None:
            self._context.stock[key] = stock + order.quantity
            self._writes.stock_taken[key] = self._writes.stock_taken.get(key, 0) - order.quantity
        self._event(offer.merchant_id, step.notify or "", Kind.ORDER, order.order_id, data)
        self._tell_about(
            found,
            step.tell or "",
            order.order_id,
            item=offer.item,
            order=order.number,
            at=self._clock_text(offer.merchant_id, at),
        )
        self.record("cancelled", found=found, order_id=order.order_id)

    def _step(self, merchant_id: int, order: PlacedOrder, event: OrderEvent) -> None:
        self._writes.order_steps.append(
            OrderStepRow(
                merchant_id, order.order_id, order.seq, event.value, order.state.value, self._mo.received_at
            )
        )

    def _order_data(self, found: OpenOffer, order: PlacedOrder, total: int) -> dict[str, object]:
        offer, encode = found.offer, self._tools.public_ids.encode
        return {
            "order": encode(Kind.ORDER, order.order_id),
            "number": order.number,
            "offer": encode(Kind.OFFER, offer.offer_id),
            "offer_version": offer.version,
            "campaign": encode(Kind.CAMPAIGN, found.campaign_id),
            "message": encode(Kind.MESSAGE, found.message_id),
            "subscriber": encode(Kind.SUBSCRIBER, found.subscriber_id),
            "msisdn": f"+{self._mo.msisdn}",
            "item": offer.item,
            "quantity": order.quantity,
            "unit_price_minor": offer.unit_price_minor,
            "total_minor": total,
            "currency": offer.currency,
            "state": order.state.value,
            "placed_at": order.created_at.isoformat(),
            "sequence": order.seq,
        }

    # ------------------------------------------------------------ what is told and written

    def _question(self, kind: str, *, contact: bool) -> None:
        found, person = self._open, self._first_person()
        merchant_id = found.offer.merchant_id if found else person.merchant_id if person else None
        if merchant_id is None:
            self.record("nobody")
            return
        if (found is not None or contact) and self._tools.limit.take(self._mo.msisdn, self._mo.received_at):
            card = self._context.merchants[merchant_id]
            fields: dict[str, str | int] = {"contact": card.contact or card.name} if contact else {}
            if found is not None:
                self._tell_about(found, kind, **fields)
            elif person is not None:
                self._tell(person, kind, merchant_id, **fields)
        self.record("asked", found=found, person=person)

    def _nothing_open(self, person: Person) -> None:
        """An OK that answers nothing: say so, within the limit, and order nothing."""
        if self._tools.limit.take(self._mo.msisdn, self._mo.received_at):
            card = self._context.merchants[person.merchant_id]
            self._tell(person, "help", person.merchant_id, contact=card.contact or card.name)
        self.record("no_open_offer", person=person)

    def record(
        self,
        outcome: str,
        *,
        found: OpenOffer | None = None,
        person: Person | None = None,
        order_id: int | None = None,
    ) -> None:
        """Write the MO for the merchant that it concerns, and tell the shop."""
        reading = self._reading
        if found is None and person is None and self._open is not None:
            found = self._open
        merchant_id = found.offer.merchant_id if found else person.merchant_id if person else _GATEWAY
        mine = self._open if self._open and self._open.offer.merchant_id == merchant_id else None
        subscriber_id = found.subscriber_id if found else person.subscriber_id if person else None
        self._writes.rows.append(
            InboundRow(
                merchant_id=merchant_id,
                inbound_id=self._inbound_id,
                mo=self._mo,
                subscriber_id=subscriber_id,
                campaign_id=mine.campaign_id if mine else None,
                message_id=mine.message_id if mine else None,
                order_id=order_id,
                label=reading.label.value,
                quantity=reading.quantity,
                outcome=outcome,
                reason=reading.reason,
                rules_version=reading.rules_version,
            )
        )
        if merchant_id == _GATEWAY:
            return
        if mine:
            self._count(merchant_id, "replies", mine.campaign_id)
        self._event(
            merchant_id,
            "inbound.received",
            Kind.INBOUND_MESSAGE,
            self._inbound_id,
            {
                "text": self._mo.text,
                "msisdn": f"+{self._mo.msisdn}",
                "label": reading.label.value,
                "quantity": reading.quantity,
                "outcome": outcome,
                "reason": reading.reason,
            },
        )

    def _consent(self, person: Person, event: ConsentEvent, state: ConsentState) -> None:
        if state is not person.offers_state or event is ConsentEvent.STOP:
            self._writes.consents.append(
                ConsentRow(
                    person.merchant_id,
                    self._tools.ids.next(),
                    person.subscriber_id,
                    self._mo.msisdn,
                    event.value,
                    state.value,
                    self._inbound_id,
                    self._mo.received_at,
                )
            )
        if state is not person.offers_state:
            granted = state is ConsentState.SUBSCRIBED
            self._event(
                person.merchant_id,
                "consent.granted" if granted else "consent.revoked",
                Kind.SUBSCRIBER,
                person.subscriber_id,
                {"msisdn": f"+{self._mo.msisdn}", "purpose": "offers", "source": "sms"},
            )
        person.offers_state = state

    def _tell_about(
        self, found: OpenOffer, kind: str, order_id: int | None = None, /, **fields: str | int
    ) -> None:
        text = system_text(kind, found.offer.language, shop=found.offer.shop_name, **fields)
        self._message(found.offer.merchant_id, found.subscriber_id, kind, text, order_id)

    def _tell(self, person: Person, kind: str, merchant_id: int, **fields: str | int) -> None:
        card = self._context.merchants[merchant_id]
        text = system_text(kind, person.language or card.language, shop=card.name, **fields)
        self._message(merchant_id, person.subscriber_id, kind, text, None)

    def _message(
        self, merchant_id: int, subscriber_id: int, kind: str, text: str, order_id: int | None
    ) -> None:
        messages = self._writes.messages
        messages.merchant_ids.append(merchant_id)
        messages.message_ids.append(self._tools.ids.next())
        messages.subscriber_ids.append(subscriber_id)
        messages.msisdns.append(self._mo.msisdn)
        messages.kinds.append(kind)
        messages.senders.append(self._mo.destination)
        messages.bodies.append(text)
        messages.order_ids.append(order_id)
        messages.inbound_ids.append(self._inbound_id)
        messages.expires_at.append(self._mo.received_at + ANSWER_VALID)

    def _event(
        self, merchant_id: int, type_: str, kind: Kind, subject_id: int, data: dict[str, object]
    ) -> None:
        events = self._writes.events
        events.merchant_ids.append(merchant_id)
        events.event_ids.append(self._tools.ids.next())
        events.types.append(type_)
        events.subjects.append(self._tools.public_ids.encode(kind, subject_id))
        events.data.append(orjson.dumps(data).decode())
        events.created_at.append(self._mo.received_at)

    def _count(self, merchant_id: int, kind: str, campaign_id: int | None = None) -> None:
        if campaign_id is None and self._open and self._open.offer.merchant_id == merchant_id:
            campaign_id = self._open.campaign_id
        if campaign_id is not None:
            key = (merchant_id, campaign_id, kind)
            self._writes.counters[key] = self._writes.counters.get(key, 0) + 1

    def _first_person(self) -> Person | None:
        return self._people[0] if self._people else None

    def _last_order(self, merchant_id: int) -> str:
        """Return the number of the order that stays after a STOP; "" when there is none."""
        found = self._open
        if found is None or found.offer.merchant_id != merchant_id:
            return ""
        orders = self._context.orders.get((merchant_id, found.message_id), [])
        live = [order for order in orders if order.state in {OrderState.PLACED, OrderState.CONFIRMED}]
        return live[-1].number if live else ""

    def _clock_text(self, merchant_id: int, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self._context.merchants[merchant_id].timezone)):%H:%M}"


def order_number(merchant_id: int, message_id: int, nth: int, attempt: int) -> str:
    """
    Return the number that buyer and shop use, derived from what was answered: a retry makes the same.

    `attempt` above 0 gives another one, for the rare case that two offers come to the same number.
    """
    seed = f"{merchant_id}|{message_id}|{nth}|{attempt}".encode()
    digest = int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest())
    return str(digest % 10**ORDER_NUMBER_DIGITS).zfill(ORDER_NUMBER_DIGITS)


def price_text(minor: int, currency: str) -> str:
    """Return an amount as people read it in an SMS: the euro sign costs two septets and says it all."""
    amount = minor_to_text(minor, currency)
    return f"{amount}€" if currency == "EUR" else f"{amount} {currency}"
