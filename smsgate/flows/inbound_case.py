"""One MO on the desk: whom it concerns, and what is written and told because of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from smsgate.campaigns.consent_commands import SmsRules
from smsgate.campaigns.orders import LIVE, OrderEvent
from smsgate.campaigns.replies import Reading
from smsgate.campaigns.texts import spoken, system_text
from smsgate.flows.answer_limit import ANSWERS_A_DAY, answered_day
from smsgate.flows.events import add_event, order_data
from smsgate.flows.inbound_records import (
    Doubted,
    InboundContext,
    InboundRow,
    InboundWrites,
    MerchantCard,
    OpenOffer,
    OrderStepRow,
    Person,
    PlacedOrder,
)
from smsgate.flows.order_records import OrderRecord
from smsgate.flows.ports import Ids
from smsgate.flows.records import MobileOriginated
from smsgate.security.public_ids import Kind, PublicIds

ANSWER_VALID: Final = timedelta(hours=6)  # an answer that comes later explains nothing any more
MINUTES_KEPT: Final = 1_024  # as clocks of places show them
ORDERING: Final = frozenset({OrderEvent.CUSTOMER_OK, OrderEvent.CUSTOMER_NUMBER})  # of a live offer alone
_GATEWAY: Final = 0  # inbound rows that concern no merchant


@dataclass(frozen=True, slots=True)
class DeskTools:
    ids: Ids
    public_ids: PublicIds
    may_use: Callable[[str, str], bool]  # (sender number, merchant's slug)
    rules: SmsRules = field(default_factory=SmsRules)
    week_max: int | None = None  # messages of a merchant that caps let through; None: no cap
    writes_ucs2: Callable[[str], bool] = lambda _sender: True  # whether a sender number's carrier does
    # Slugs of the merchants that may write from a sender number; None: all.
    users: Callable[[str], Collection[str] | None] = lambda _sender: None


@dataclass(frozen=True, slots=True)
class HumanDecided:
    """That a reply was read by a person of the merchant; `by` goes to the log of consents as evidence."""

    merchant_id: int  # whose messages a stop ends, and nobody else's
    inbound_id: int  # of the reply, which is recorded already
    by: Mapping[str, str]
    order_id: int | None = None  # that the reply was about


def _who(decided: HumanDecided) -> dict[str, str]:
    """Return who decided, without the reason: it is free text, and stays with the decision."""
    return {name: decided.by[name] for name in ("decided_by", "key")}


@lru_cache(MINUTES_KEPT)
def _clock_text(timezone: str, minute: int) -> str:
    """Return a minute since 1970 as the clocks of a place show it: the same for all who answer in it."""
    return f"{datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(timezone)):%H:%M}"


class Case:
    """Collects effects; nothing is done yet."""

    def __init__(
        self,
        context: InboundContext,
        tools: DeskTools,
        writes: InboundWrites,
        mo: MobileOriginated,
        reading: Reading,
        decided: HumanDecided | None = None,
        *,
        complete: bool = True,
    ) -> None:
        self._decided = decided
        self._complete = complete  # False: a part of the text never came
        self._context = context
        self._tools = tools
        self._writes = writes
        self._mo = mo
        self._reading = reading
        self._doubted: Doubted | None = None  # beside a stop or a question
        self._inbound_id = tools.ids.next() if decided is None else decided.inbound_id
        self._open = context.open_offers.get((mo.msisdn, mo.destination))
        self._people = [
            person
            for person in context.people.get(mo.msisdn, [])
            if (self._open is not None and self._open.offer.merchant_id == person.merchant_id)
            or tools.may_use(mo.destination, context.merchants[person.merchant_id].slug)
        ]

    def record(
        self,
        outcome: str,
        *,
        found: OpenOffer | None = None,
        person: Person | None = None,
        order_id: int | None = None,
        merchant_id: int | None = None,
        reason: str = "",
    ) -> None:
        """Write the MO for the merchant that it concerns, and tell the shop; no `reason`: the reading's."""
        reading = self._reading
        reason = reason or reading.reason
        if merchant_id is None and found is None and person is None and self._open is not None:
            found = self._open
        if merchant_id is None:
            merchant_id = found.offer.merchant_id if found else person.merchant_id if person else _GATEWAY
        mine = found
        if mine is None and self._open and self._open.offer.merchant_id == merchant_id:
            mine = self._open
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
                reason=reason,
                rules_version=reading.rules_version,
            )
        )
        if merchant_id == _GATEWAY:
            return
        if mine and self._decided is None:
            self._count(merchant_id, "replies", mine.campaign_id)
        self._event(
            merchant_id,
            "inbound.received" if self._decided is None else "inbound.reclassified",
            Kind.INBOUND_MESSAGE,
            self._inbound_id,
            {
                "text": self._mo.text,
                "msisdn": f"+{self._mo.msisdn}",
                "label": reading.label.value,
                "quantity": reading.quantity,
                "outcome": outcome,
                "reason": reason,
            },
        )

    def _left_to_a_person(self, merchant_id: int) -> bool:
        """Record the order that is in doubt; False: there is none of this merchant, or it is recorded."""
        doubted = self._doubted
        if (
            doubted is None
            or doubted.found.offer.merchant_id != merchant_id
            or self._is_recorded(merchant_id)
        ):
            return False
        self.record("cancel_requested", found=doubted.found, order_id=doubted.order_id, reason=doubted.reason)
        return True

    def _is_recorded(self, merchant_id: int) -> bool:
        return any(
            (row.merchant_id, row.inbound_id) == (merchant_id, self._inbound_id) for row in self._writes.rows
        )

    def _tell_about(
        self, found: OpenOffer, kind: str, order_id: int | None = None, /, **fields: str | int
    ) -> None:
        text = system_text(kind, self._spoken_to(found), shop=found.offer.shop_name, **fields)
        self._message(found.offer.merchant_id, found.subscriber_id, kind, text, order_id)

    def _spoken_to(self, found: OpenOffer) -> str:
        """Return the language for texts about an order: the customer's, else the offer's."""
        merchant_id, offered = found.offer.merchant_id, found.offer.language
        for person in self._context.people.get(self._mo.msisdn, ()):
            if person.merchant_id == merchant_id:
                return self._spoken(person.language, offered)
        return self._spoken(offered)

    def _spoken(self, *languages: str | None) -> str:
        """Return the first of the languages that can be written to the person from the number answered."""
        return spoken(*languages, ucs2=self._tools.writes_ucs2(self._mo.destination))

    def _tell_stranger(self, card: MerchantCard, kind: str, **fields: str | int) -> None:
        """Write to a number that the merchant does not know, in the merchant's language."""
        text = system_text(kind, self._spoken(card.language), **{"shop": card.name} | fields)
        self._message(card.merchant_id, None, kind, text, None)

    def _tell(self, person: Person, kind: str, merchant_id: int, **fields: str | int) -> None:
        card = self._context.merchants[merchant_id]
        fields.setdefault("shop", card.name)
        text = system_text(kind, self._spoken(person.language, card.language), **fields)
        self._message(merchant_id, person.subscriber_id, kind, text, None)

    def _message(
        self, merchant_id: int, subscriber_id: int | None, kind: str, text: str, order_id: int | None
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
        self._event_about(merchant_id, type_, self._tools.public_ids.encode(kind, subject_id), data)

    def _event_about(self, merchant_id: int, type_: str, subject: str, data: dict[str, object]) -> None:
        add_event(
            self._writes.events,
            merchant_id=merchant_id,
            event_id=self._tools.ids.next(),
            type_=type_,
            subject=subject,
            data=data,
            at=self._mo.received_at,
        )

    def _count(self, merchant_id: int, kind: str, campaign_id: int | None = None) -> None:
        if campaign_id is None and self._open and self._open.offer.merchant_id == merchant_id:
            campaign_id = self._open.campaign_id
        if campaign_id is not None:
            key = (merchant_id, campaign_id, kind)
            self._writes.counters[key] = self._writes.counters.get(key, 0) + 1

    def _answered(self, found: OpenOffer) -> None:
        """The next offer may take its place; nothing happens to a place that another offer has by now."""
        key = (self._mo.msisdn, self._mo.destination)
        self._writes.answered[key] = (found.message_id, self._mo.received_at)
        found.answered_at = self._mo.received_at

    def _may_answer(self, a_day: int = ANSWERS_A_DAY) -> bool:
        """Return whether one more answer may go to this person today, and count it with the commit."""
        key, answers = answered_day(self._mo.msisdn, self._mo.received_at), self._writes.answers
        if self._context.answers_given.get(key, 0) + answers.get(key, 0) >= a_day:
            return False
        answers[key] = answers.get(key, 0) + 1
        return True

    def _first_person(self) -> Person | None:
        return self._people[0] if self._people else None

    def _last_order(self, merchant_id: int) -> str:
        """Return the number of the order that stays after a STOP; "" when there is none."""
        found = self._open
        if found is None or found.offer.merchant_id != merchant_id:
            return ""
        orders = self._context.orders.get((merchant_id, found.message_id), [])
        live = [order for order in orders if order.state in LIVE]
        return live[-1].number if live else ""

    def _clock_text(self, merchant_id: int, at: datetime) -> str:
        return _clock_text(self._context.merchants[merchant_id].timezone, int(at.timestamp()) // 60)

    def _step(self, found: OpenOffer, order: PlacedOrder, event: OrderEvent) -> None:
        offer = found.offer
        if event in ORDERING:
            self._writes.ordered_from.add((offer.merchant_id, offer.offer_id))
        self._writes.order_steps.append(
            OrderStepRow(
                merchant_id=offer.merchant_id,
                order_id=order.order_id,
                seq=order.seq,
                event=event.value,
                state=order.state.value,
                at=self._mo.received_at,
                quantity=order.quantity,
                total_minor=offer.unit_price_minor * order.quantity,
                stock_held=order.stock_held,
                due=order.due,
                actor="customer" if self._decided is None else "merchant",
                detail={} if self._decided is None else _who(self._decided),
            )
        )

    def _order_event(self, found: OpenOffer, order: PlacedOrder, type_: str) -> None:
        offer = found.offer
        record = OrderRecord(
            merchant_id=offer.merchant_id,
            order_id=order.order_id,
            number=order.number,
            offer_id=offer.offer_id,
            offer_version=offer.version,
            campaign_id=found.campaign_id,
            message_id=found.message_id,
            subscriber_id=found.subscriber_id,
            msisdn=self._mo.msisdn,
            inbound_id=self._inbound_id,
            sender=self._mo.destination,
            item=offer.item,
            shop_name=offer.shop_name,
            language=self._spoken_to(found),
            offer_language=offer.language,
            quantity=order.quantity,
            unit_price_minor=offer.unit_price_minor,
            total_minor=offer.unit_price_minor * order.quantity,
            currency=offer.currency,
            state=order.state.value,
            shop_ref=order.shop_ref,
            seq=order.seq,
            created_at=order.created_at,
            changed_at=self._mo.received_at,
            placed_at=order.placed_at,
            stock_held=order.stock_held,
            delivered_at=order.delivered_at,
        )
        data = order_data(record, self._tools.public_ids)
        self._event_about(offer.merchant_id, type_, str(data["order"]), data)
