"""What the database holds between two groups of MOs, in memory: changed by what flows write alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from smsgate.campaigns.consent import ConsentState
from smsgate.campaigns.orders import Due, OrderEvent, OrderState
from smsgate.campaigns.replies import Label, read_reply
from smsgate.clock import ManualClock
from smsgate.errors import Conflict, NotFound
from smsgate.flows.answer_limit import AnsweredDay
from smsgate.flows.commerce_records import EventColumns, Page, PageAsk, SystemMessageColumns
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.inbound_desk import Desk
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundRow,
    InboundWrites,
    MerchantCard,
    OpenOffer,
    OrderRow,
    Person,
    PlacedOrder,
)
from smsgate.flows.order_records import MessageCost, OrderChange, OrderRecord, OrderStep
from smsgate.flows.records import MobileOriginated, OfferVersion
from smsgate.ids import IdMaker
from smsgate.security.public_ids import Kind, PublicIds

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MERCHANT, OFFER_ID, STOCK, QUANTITY_MAX, SENDER = 7, 70, 4, 3, "36111"
PEOPLE = (33_600_000_001, 33_600_000_002, 33_600_000_003)
SEEN_FOR = timedelta(minutes=10)

OFFER = OfferVersion(
    merchant_id=MERCHANT, offer_id=OFFER_ID, version=1, text="", shop_name="Boxman", item="CD",
    unit_price_minor=1_990, currency="EUR", quantity_max=QUANTITY_MAX, language="fr", country="FR",
    sender=SENDER, expires_at=START + timedelta(hours=4), ask_above_minor=4_000,
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One text to a customer."""

    msisdn: int
    kind: str
    order_id: int | None
    inbound_id: int | None
    body: str


@dataclass
class Shelf:
    """One merchant, one offer, a few people; implements flows.ports_commerce.OrdersStore."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    stock: int = STOCK
    shop_reached: bool = True
    offer: OfferVersion = OFFER
    live: bool = True
    states: dict[int, ConsentState] = field(
        default_factory=lambda: dict.fromkeys(PEOPLE, ConsentState.SUBSCRIBED)
    )
    open: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(PEOPLE, True))
    orders: dict[int, OrderRecord] = field(default_factory=dict)
    nth: dict[int, int] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)  # orders whose customers were told that they stand
    seen: dict[tuple[int, str], datetime] = field(default_factory=dict)
    rows: list[InboundRow] = field(default_factory=list)
    answers: dict[AnsweredDay, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)  # type, subject

    def __post_init__(self) -> None:
        self.ids = IdMaker(1, lambda: int(self.clock.now().timestamp() * 1000))
        self.public_ids = PublicIds(bytes(32))
        self.tools = DeskTools(self.ids, self.public_ids, lambda _sender, _slug: True)

    # ------------------------------------------------------------ MOs

    def placed(self, msisdn: int) -> list[PlacedOrder]:
        return [self._as_placed(each) for each in self.orders.values() if each.msisdn == msisdn]

    def _as_placed(self, order: OrderRecord) -> PlacedOrder:
        assert order.placed_at is not None
        due = None
        if order.due_event is not None and order.due_at is not None:
            due = Due(OrderEvent(order.due_event), order.due_at)
        return PlacedOrder(
            order.order_id, order.number, OrderState(order.state), self.nth[order.order_id], order.seq,
            order.quantity, order.created_at, order.placed_at, order.shop_ref, order.stock_held, due,
            order.delivered_at, order.order_id in self.asked,
        )  # fmt: skip

    def context(self) -> InboundContext:
        context = InboundContext(answers_given=dict(self.answers))
        card = MerchantCard(MERCHANT, "boxman", "Boxman", "fr", "bxm.fr", "Europe/Paris")
        context.merchants[MERCHANT] = card
        context.stock[MERCHANT, OFFER_ID] = self.stock
        for place, msisdn in enumerate(PEOPLE):
            context.people[msisdn] = [Person(MERCHANT, place, "fr", self.states[msisdn])]
            found = OpenOffer(self.offer, 77, msisdn, subscriber_id=place, offer_live=self.live)
            if self.open[msisdn]:
                context.open_offers[msisdn, SENDER] = found
            context.orders[MERCHANT, msisdn] = self.placed(msisdn)
            for order in context.orders[MERCHANT, msisdn]:
                context.named[msisdn, order.number] = (found, order)
        return context

    def apply(self, writes: InboundWrites) -> None:
        """Commit."""
        for row in writes.orders:
            self.nth[row.order_id] = row.nth
            self.orders[row.order_id] = self._as_record(row)
        for step in writes.order_steps:
            order = self.orders[step.order_id]
            if step.event == OrderEvent.CUSTOMER_UNCLEAR:
                self.asked.add(step.order_id)
            bound = order.state == OrderState.AWAITING_CONFIRMATION and step.state == OrderState.PLACED
            self.orders[step.order_id] = order._replace(
                state=step.state,
                seq=step.seq,
                quantity=step.quantity,
                total_minor=step.total_minor,
                stock_held=step.stock_held,
                due_event=None if step.due is None else step.due.event.value,
                due_at=None if step.due is None else step.due.at,
                placed_at=step.at if bound else order.placed_at,
                changed_at=step.at,
            )
        for pieces in writes.stock_taken.values():
            self.stock -= pieces
        for consent in writes.consents:
            self.states[consent.msisdn] = ConsentState(consent.state_after)
        for _, msisdn in writes.closed:
            self.open[msisdn] = False
        for day, count in writes.answers.items():
            self.answers[day] = self.answers.get(day, 0) + count
        self.rows += writes.rows
        self._tell(writes.messages)
        self.events += zip(writes.events.types, writes.events.subjects, strict=True)

    def _as_record(self, row: OrderRow) -> OrderRecord:
        return OrderRecord(
            merchant_id=row.merchant_id, order_id=row.order_id, number=row.number, offer_id=OFFER_ID,
            offer_version=1, campaign_id=row.campaign_id, message_id=row.message_id,
            subscriber_id=row.subscriber_id, msisdn=row.msisdn, inbound_id=row.inbound_id, sender=row.sender,
            item=OFFER.item, shop_name=OFFER.shop_name, language="fr", offer_language="fr",
            quantity=row.quantity, unit_price_minor=OFFER.unit_price_minor, total_minor=row.total_minor,
            currency="EUR", state=row.state, shop_ref="", seq=1, created_at=row.at, changed_at=row.at,
            placed_at=row.at,
        )  # fmt: skip

    def _tell(self, messages: SystemMessageColumns) -> None:
        rows = zip(
            messages.msisdns, messages.kinds, messages.order_ids, messages.inbound_ids, messages.bodies,
            strict=True,
        )  # fmt: skip
        self.told += [Told(*row) for row in rows]

    def whole(self, msisdn: int, text: str) -> str:
        """Return a text with the number of the person's last order in its place."""
        numbers = [order.number for order in self.orders.values() if order.msisdn == msisdn]
        return text.format(number=numbers[-1] if numbers else "87654321")

    def decide(self, said: Sequence[tuple[int, str]]) -> tuple[InboundContext, InboundWrites]:
        """Take one group of (msisdn, text) as the intake does; nothing is committed yet."""
        context, now = self.context(), self.clock.now()
        desk = Desk(context, self.tools)
        for msisdn, text in said:
            key = (msisdn, text)
            repeated = key in self.seen and now - self.seen[key] < SEEN_FOR
            if not repeated:
                self.seen[key] = now
            reading = read_reply(text, "fr", names=("Boxman", "CD"))
            if not repeated or reading.label is Label.STOP:
                mo = MobileOriginated(1, msisdn, str(msisdn), SENDER, text, text.encode(), 0, now)
                desk.take(mo, reading, repeated=repeated)
        return context, desk.writes

    # ------------------------------------------------------------ the shop's side

    async def get(self, merchant_id: int, order_id: int) -> OrderRecord:
        if merchant_id != MERCHANT or order_id not in self.orders:
            raise NotFound("No such object.")
        return self.orders[order_id]

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[int, int]]:
        due = [order for order in self.orders.values() if order.due_at is not None and order.due_at <= now]
        return [(MERCHANT, order.order_id) for order in due][:limit]

    async def shop_has(self, order: OrderRecord, subject: str) -> bool:
        assert subject == self.public_ids.encode(Kind.ORDER, order.order_id)
        return self.shop_reached

    async def end_wait(self, order: OrderRecord) -> None:
        self.orders[order.order_id] = self.orders[order.order_id]._replace(due_event=None, due_at=None)

    async def change(
        self,
        change: OrderChange,
        messages: SystemMessageColumns,
        events: EventColumns,
        sold_out: EventColumns,
    ) -> bool:
        order = self.orders[change.order_id]
        if order.seq != change.seq_before:
            return False
        if change.stock_taken > self.stock:
            raise Conflict("The order's pieces went to others meanwhile.", code="sold_out")
        self.orders[change.order_id] = order._replace(
            state=change.state, shop_ref=change.shop_ref, seq=order.seq + 1, changed_at=change.at,
            stock_held=change.stock_held, due_event=change.due_event, due_at=change.due_at,
            delivered_at=change.delivered_at,
        )  # fmt: skip
        self.stock += change.stock_back - change.stock_taken
        self._tell(messages)
        last = [sold_out] if change.stock_taken and not self.stock else []
        for told in (events, *last):
            self.events += zip(told.types, told.subjects, strict=True)
        return True

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        state: str | None = None,
        campaign_id: int | None = None,
        number: str | None = None,
    ) -> Page[OrderRecord]:
        raise AssertionError("no list is asked for here")

    async def steps(self, merchant_id: int, order_id: int) -> Sequence[OrderStep]:
        raise AssertionError("no steps are asked for here")

    async def message_costs(self, merchant_id: int, message_id: int) -> Sequence[MessageCost]:
        raise AssertionError("no costs are asked for here")

    async def system_message_costs(self, merchant_id: int, order_id: int) -> tuple[int, int]:
        raise AssertionError("no costs are asked for here")
