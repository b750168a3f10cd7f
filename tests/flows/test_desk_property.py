"""Whatever a few people say in whatever order: stock, orders, consent and answers stay in step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.campaigns.consent import ConsentState
from smsgate.campaigns.orders import OrderState
from smsgate.campaigns.replies import Label, read_reply
from smsgate.flows.answer_limit import ANSWERS_A_DAY, AnswerLimit
from smsgate.flows.inbound_case import LIVE, DeskTools
from smsgate.flows.inbound_desk import Desk, order_number, order_numbers_in
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundWrites,
    MerchantCard,
    OpenOffer,
    Person,
    PlacedOrder,
)
from smsgate.flows.records import MobileOriginated, OfferVersion
from smsgate.ids import IdMaker
from smsgate.security.public_ids import PublicIds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MERCHANT, OFFER_ID, STOCK, QUANTITY_MAX, SENDER = 7, 70, 4, 3, "36111"
PEOPLE = (33_600_000_001, 33_600_000_002, 33_600_000_003)
TEXTS = ("OK", "ok merci", "OK 1", "OK 2", "OK 3", "OK 9", "OK 0", "NON", "non merci", "STOP", "stop svp",
         "START", "peut-être", "bof", "hm hm", "NON 12345678", "NON {number}")  # fmt: skip
ANSWERED_ONCE = {"ordered", "repeated", "sold_out", "over_maximum", "late", "cancelled"}
SILENT = {"declined", "ignored", "nobody"}

OFFER = OfferVersion(
    merchant_id=MERCHANT, offer_id=OFFER_ID, version=1, text="", shop_name="Boxman", item="CD",
    unit_price_minor=1_990, currency="EUR", quantity_max=QUANTITY_MAX, language="fr", country="FR",
    sender=SENDER, expires_at=NOW + timedelta(hours=4),
)  # fmt: skip


class Shelf:
    """What the database holds between two groups, changed by `InboundWrites` alone."""

    def __init__(self) -> None:
        self.stock = STOCK
        self.states = dict.fromkeys(PEOPLE, ConsentState.SUBSCRIBED)
        self.open = dict.fromkeys(PEOPLE, True)
        self.orders: dict[int, list[PlacedOrder]] = {msisdn: [] for msisdn in PEOPLE}
        self.seen: set[tuple[int, str]] = set()
        ids = IdMaker(1, lambda: int(NOW.timestamp() * 1000))
        self.tools = DeskTools(ids, PublicIds(bytes(32)), AnswerLimit(), lambda _sender, _slug: True)

    def context(self) -> InboundContext:
        context = InboundContext()
        card = MerchantCard(MERCHANT, "boxman", "Boxman", "fr", "bxm.fr", "Europe/Paris")
        context.merchants[MERCHANT] = card
        context.stock[MERCHANT, OFFER_ID] = self.stock
        for place, msisdn in enumerate(PEOPLE):
            context.people[msisdn] = [Person(MERCHANT, place, "fr", self.states[msisdn])]
            found = OpenOffer(OFFER, 77, message_id=msisdn, subscriber_id=place, offer_live=True)
            if self.open[msisdn]:
                context.open_offers[msisdn, SENDER] = found
            placed = [replace(order) for order in self.orders[msisdn]]
            context.orders[MERCHANT, msisdn] = placed
            for order in placed:
                context.named[msisdn, order.number] = (found, order)
        return context

    def apply(self, writes: InboundWrites) -> None:
        for row in writes.orders:
            order = PlacedOrder(
                row.order_id, row.number, OrderState(row.state), row.nth, 1, row.quantity, row.at
            )
            self.orders[row.msisdn].append(order)
        by_id = {order.order_id: order for orders in self.orders.values() for order in orders}
        for step in writes.order_steps:
            by_id[step.order_id].state = OrderState(step.state)
            by_id[step.order_id].seq = step.seq
        for pieces in writes.stock_taken.values():
            self.stock -= pieces
        for consent in writes.consents:
            self.states[consent.msisdn] = ConsentState(consent.state_after)
        for _, msisdn in writes.closed:
            self.open[msisdn] = False
        for msisdn, at in writes.answers:
            self.tools.limit.count(msisdn, at)

    def serve(self, said: list[tuple[int, str]]) -> tuple[InboundContext, InboundWrites]:
        """Take one group as the intake does: what was seen is dropped, but for STOPs."""
        context = self.context()
        desk = Desk(context, self.tools)
        for place, text in said:
            msisdn = PEOPLE[place]
            numbers = [order.number for order in self.orders[msisdn]]
            whole = text.format(number=numbers[-1] if numbers else "87654321")
            repeated = (msisdn, whole) in self.seen
            self.seen.add((msisdn, whole))
            reading = read_reply(whole, "fr", names=("Boxman", "CD"))
            if not repeated or reading.label is Label.STOP:
                mo = MobileOriginated(1, msisdn, str(msisdn), SENDER, whole, whole.encode(), 0, NOW)
                desk.take(mo, reading, repeated=repeated)
        self.apply(desk.writes)
        return context, desk.writes


groups = st.lists(
    st.lists(st.tuples(st.integers(0, len(PEOPLE) - 1), st.sampled_from(TEXTS)), min_size=1, max_size=8),
    min_size=1,
    max_size=8,
)


@settings(max_examples=400)
@given(groups)
def test_whatever_is_said_stock_orders_consent_and_answers_stay_in_step(
    said: list[list[tuple[int, str]]],
) -> None:
    shelf = Shelf()
    ordered = 0
    asked: Counter[int] = Counter()
    for group in said:
        context, writes = shelf.serve(group)
        # What the next MO of the group met is what the database holds after it.
        assert context.stock[MERCHANT, OFFER_ID] == shelf.stock >= 0
        for msisdn in PEOPLE:
            assert context.people[msisdn][0].offers_state is shelf.states[msisdn]
            assert ((msisdn, SENDER) in context.open_offers) is shelf.open[msisdn]
            assert context.orders[MERCHANT, msisdn] == shelf.orders[msisdn]
        ordered += sum(row.outcome == "ordered" for row in writes.rows)
        told = Counter(inbound_id for inbound_id in writes.messages.inbound_ids)
        assert len({row.inbound_id for row in writes.rows}) == len(writes.rows)
        for row in writes.rows:
            texts = told[row.inbound_id]
            assert texts <= 1
            if row.outcome in ANSWERED_ONCE:
                assert texts == 1, row
            elif row.outcome in SILENT:
                assert texts == 0, row
            elif row.outcome in {"asked", "no_open_offer"}:
                asked[row.mo.msisdn] += texts
        assert all(count <= ANSWERS_A_DAY for count in asked.values())
        for change in writes.consent_changes:
            if change.stopped:
                assert not shelf.open[change.msisdn]
    everything = [order for orders in shelf.orders.values() for order in orders]
    assert len(everything) == ordered
    assert sum(order.quantity for order in everything if order.state in LIVE) == STOCK - shelf.stock
    assert len({order.number for order in everything}) == len(everything)
    last_word = {
        place: text for group in said for place, text in group if text.split()[0].upper() in {"STOP", "START"}
    }
    for place, text in last_word.items():
        if text.upper().startswith("STOP"):
            assert shelf.states[PEOPLE[place]] is ConsentState.UNSUBSCRIBED


def test_an_order_number_is_eight_digits_that_a_text_gives_back() -> None:
    for message_id in range(2_000):
        number = order_number(MERCHANT, message_id, 1, 0)
        assert len(number) == 8
        assert order_numbers_in(f"NON {number}!") == [number]
        assert str(int(number)) == number


def test_an_answer_counts_once_it_is_certain() -> None:
    limit = AnswerLimit()
    for left in (2, 1):
        assert limit.left(1, NOW) == left
        limit.count(1, NOW)
    assert limit.left(1, NOW) == 0
    assert limit.left(1, NOW + timedelta(days=1)) == ANSWERS_A_DAY
