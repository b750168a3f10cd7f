"""Whatever a few people say in whatever order: stock, orders, consent and answers stay in step."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.campaigns.consent import ConsentState
from smsgate.flows.answer_limit import ANSWERS_A_DAY, HELPS_A_DAY
from smsgate.flows.order_texts import order_number, order_numbers_in
from tests.flows.shelf import MERCHANT, OFFER_ID, PEOPLE, SENDER, START, STOCK, Shelf

TEXTS = (
    "OK", "ok merci", "OK 1", "OK 2", "OK 3", "OK 9", "OK 0", "oui", "NON", "non merci", "STOP", "stop svp",
    "START", "peut-être", "bof", "hm hm", "NON 12345678", "NON {number}", "annuler", "j'annule ma commande",
    "je me rétracte", "RETRACTATION {number}", "je n'ai rien commandé", "n'annulez pas ma commande",
    "je l'ai pas encore reçu", "pas {number}", "aide",
)  # fmt: skip
ANSWERED_ONCE = {
    "ordered", "repeated", "sold_out", "over_maximum", "ask", "late", "cancelled", "cancel_requested",
    "withdrawn", "disputed", "which_order",
}  # fmt: skip
SILENT = {"declined", "ignored", "nobody"}

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
    asked: Counter[tuple[int, bool]] = Counter()  # by phone, and whether it asked for help
    for group in said:
        texts = [(PEOPLE[place], shelf.whole(PEOPLE[place], text)) for place, text in group]
        context, writes = shelf.decide(texts)
        shelf.apply(writes)
        # What the next MO of the group met is what the database holds after it.
        assert context.stock[MERCHANT, OFFER_ID] == shelf.stock >= 0
        for msisdn in PEOPLE:
            assert context.people[msisdn][0].offers_state is shelf.states[msisdn]
            assert ((msisdn, SENDER) in context.open_offers) is shelf.open[msisdn]
            assert context.orders[MERCHANT, msisdn] == shelf.placed(msisdn)
        told = Counter(inbound_id for inbound_id in writes.messages.inbound_ids)
        assert len({row.inbound_id for row in writes.rows}) == len(writes.rows)
        for row in writes.rows:
            texts_told = told[row.inbound_id]
            # A bare CANCEL beside an order ends both: the messages and the order, each with its own text.
            assert texts_told <= 1 + (row.outcome == "stopped")
            if row.outcome in ANSWERED_ONCE:
                assert texts_told == 1, row
            elif row.outcome in SILENT:
                assert texts_told == 0, row
            elif row.outcome in {"asked", "no_open_offer"}:
                asked[row.mo.msisdn, row.label == "help"] += texts_told
        assert all(count <= (HELPS_A_DAY if help_ else ANSWERS_A_DAY) for (_, help_), count in asked.items())
        for change in writes.taken_back:
            # What nobody can read holds marketing too, and leaves the offer open.
            person = context.people[change.msisdn][0]
            doubted = (MERCHANT, person.subscriber_id) in writes.doubts
            assert doubted or not shelf.open[change.msisdn]
    everything = list(shelf.orders.values())
    assert sum(order.quantity for order in everything if order.stock_held) == STOCK - shelf.stock
    assert len({order.number for order in everything}) == len(everything)
    last_word = {
        place: text for group in said for place, text in group if text.split()[0].upper() in {"STOP", "START"}
    }
    for place, text in last_word.items():
        after = [each for group in said for where, each in group if where == place]
        if text.upper().startswith("STOP") and "annuler" not in after:
            assert shelf.states[PEOPLE[place]] is ConsentState.UNSUBSCRIBED


def test_an_order_number_is_eight_digits_that_a_text_gives_back() -> None:
    for message_id in range(2_000):
        number = order_number(MERCHANT, message_id, 1, 0)
        assert len(number) == 8
        assert order_numbers_in(f"NON {number}!") == [number]
        assert str(int(number)) == number


def test_a_day_of_answers_ends_at_midnight_of_utc_and_counts_once_it_is_certain() -> None:
    shelf, told = Shelf(), []
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    shelf.clock.advance((midnight - START).total_seconds() - 1)
    for n in range(ANSWERS_A_DAY):
        _, writes = shelf.decide([(PEOPLE[0], f"azdf {'k' * n}")])  # and the group is rolled back
        assert len(writes.messages) == 1
    for n in range(2 * ANSWERS_A_DAY + 1):
        if n == ANSWERS_A_DAY + 1:
            shelf.clock.advance(1)
        _, writes = shelf.decide([(PEOPLE[0], f"azdf gh{'k' * n}")])
        shelf.apply(writes)
        told.append(len(writes.messages))
    assert told == [1] * ANSWERS_A_DAY + [0] + [1] * ANSWERS_A_DAY


def test_help_is_answered_after_all_other_answers_of_a_day_and_not_for_ever() -> None:
    shelf, told = Shelf(), []
    unclear = [f"azdf gh{'k' * n}" for n in range(ANSWERS_A_DAY + 1)]
    for text in unclear + [f"aide{'!' * n}" for n in range(HELPS_A_DAY)]:
        _, writes = shelf.decide([(PEOPLE[0], text)])
        shelf.apply(writes)
        told.append(len(writes.messages))
    assert told == [1] * ANSWERS_A_DAY + [0] + [1] * (HELPS_A_DAY - ANSWERS_A_DAY) + [0] * ANSWERS_A_DAY
