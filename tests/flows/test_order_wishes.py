"""What a customer says once an order stands, came, was lost, or never was; each text is true of all that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from smsgate.campaigns.orders import USUAL_TERMS, OrderState, OrderTerms
from smsgate.flows.inbound_records import InboundRow
from smsgate.flows.order_records import OrderRecord
from tests.flows.shelf import OFFER, PEOPLE, START, Shelf

BUYER = PEOPLE[0]
LATER = timedelta(minutes=11)  # the same octets are a person's again


def say(shelf: Shelf, text: str) -> tuple[InboundRow, list[str]]:
    """Say it; return what is recorded, and the kinds of texts that were sent for it."""
    shelf.clock.advance(LATER.total_seconds())
    before = len(shelf.told)
    _, writes = shelf.decide([(BUYER, shelf.whole(BUYER, text))])
    shelf.apply(writes)
    return writes.rows[-1], [told.kind for told in shelf.told[before:]]


def ordered() -> Shelf:
    shelf = Shelf()
    assert say(shelf, "OK")[1] == ["order_receipt"]
    return shelf


def order(shelf: Shelf) -> OrderRecord:
    (found,) = shelf.orders.values()
    return found


def become(shelf: Shelf, state: OrderState, *, days_ago: int | None = None) -> None:
    delivered_at = None if days_ago is None else shelf.clock.now() - timedelta(days=days_ago)
    found = order(shelf)
    shelf.orders[found.order_id] = found._replace(state=state.value, due_at=None, delivered_at=delivered_at)


def delivered(*, days_ago: int = 3) -> Shelf:
    shelf = ordered()
    shelf.clock.advance(timedelta(days=5).total_seconds())
    become(shelf, OrderState.FULFILLED, days_ago=days_ago)
    return shelf


def types(shelf: Shelf) -> list[str]:
    return [type_ for type_, _ in shelf.events if type_.startswith("order.")][1:]


@pytest.mark.parametrize(
    "text",
    ["n'annulez pas ma commande", "je l'ai pas encore reçu", "je me suis trompé d'adresse", "non merci",
     "pas pressé", "comment annuler ma commande", "NON {number} c'est quoi", "j'annule le rendez-vous",
     "annulez si vous ne l'avez pas en rouge", "NON, 2 plutôt"],
)  # fmt: skip
def test_a_placed_order_stands_whatever_is_not_clearly_its_end_and_a_person_reads_it(text: str) -> None:
    shelf = ordered()
    row, told = say(shelf, text)
    assert (order(shelf).state, shelf.stock) == ("placed", 3)
    assert (row.outcome, told, row.order_id) == ("asked", ["order_stands"], order(shelf).order_id)
    assert types(shelf) == []
    assert shelf.told[-1].body == (
        f"Boxman: commande {order(shelf).number} (CD): rien n'a changé. "
        f"Pour l'annuler: NON {order(shelf).number}. La boutique lira votre message."
    )


@pytest.mark.parametrize(
    "text", ["NON", "Non!", "NON {number}", "annulez ma commande", "Bonjour, merci d'annuler {number}"]
)
def test_a_plain_no_and_a_wish_with_nothing_beside_it_cancel(text: str) -> None:
    shelf = ordered()
    row, told = say(shelf, text)
    assert (order(shelf).state, shelf.stock) == ("cancelled", 4)
    assert (row.outcome, told, types(shelf)) == ("cancelled", ["order_cancelled"], ["order.cancelled"])


@pytest.mark.parametrize(
    "text",
    ["annulez ma commande 20451234", "j'annule ma commande 20451234", "RETRACTATION 20451234"],
)  # fmt: skip
def test_a_wish_that_names_an_unknown_number_ends_no_other_order_and_is_asked_about(text: str) -> None:
    """A slip, or an order of the shop's website: the person hears the number of the one that stands."""
    shelf = ordered()
    row, told = say(shelf, text)
    assert (order(shelf).state, shelf.stock, types(shelf)) == ("placed", 3, [])
    assert (row.outcome, told, row.order_id) == ("asked", ["order_stands"], order(shelf).order_id)
    assert row.reason == "No order of the number that it names can be ended so."
    assert f"NON {order(shelf).number}" in shelf.told[-1].body


def test_a_stop_that_names_an_unknown_number_leaves_all_orders_as_they_are() -> None:
    shelf = ordered()
    row, told = say(shelf, "je ne veux plus de ma commande 20451234")
    assert (row.outcome, told, row.order_id) == (
        "cancel_requested", ["stop_confirmation"], order(shelf).order_id,
    )  # fmt: skip
    assert row.reason == "No order of the number that it names can be ended so."
    assert (order(shelf).state, shelf.stock) == ("placed", 3)


@pytest.mark.parametrize("text", ["je n'ai rien commandé, 20451234", "j'ai jamais commandé, 20451234 stop"])
def test_a_dispute_beside_eight_digits_that_are_no_orders_number_is_about_the_order_that_stands(
    text: str,
) -> None:
    """A telephone number, or a day: and a dispute ends nothing."""
    shelf = ordered()
    say(shelf, text)
    assert (order(shelf).state, types(shelf)) == ("disputed", ["order.disputed"])


def test_what_may_dispute_an_order_beside_a_stop_stops_messages_and_leaves_the_order_to_a_person() -> None:
    shelf = ordered()
    row, told = say(shelf, "so etwas Schönes habe ich noch nie bestellt, keine weiteren SMS")
    assert (row.label, row.outcome, told) == ("stop", "cancel_requested", ["stop_confirmation"])
    assert (row.order_id, row.reason) == (
        order(shelf).order_id, "'so' beside 'nie bestellt' may change what is meant.",
    )  # fmt: skip
    assert (order(shelf).state, types(shelf)) == ("placed", [])
    row, told = say(shelf, "STOP")
    assert (row.outcome, row.order_id) == ("stopped", None)


def test_what_may_dispute_an_order_beside_a_stop_is_a_stop_alone_where_no_order_is() -> None:
    row, told = say(Shelf(), "so etwas Schönes habe ich noch nie bestellt, keine weiteren SMS")
    assert (row.outcome, told) == ("stopped", ["stop_confirmation"])


def test_what_may_dispute_an_order_beside_a_question_is_answered_and_leaves_the_order_to_a_person() -> None:
    shelf = ordered()
    row, told = say(shelf, "help, it wasn't me at the door")
    assert (row.label, row.outcome, told) == ("unclear", "cancel_requested", ["help_order"])
    assert (row.order_id, order(shelf).state) == (order(shelf).order_id, "placed")


@pytest.mark.parametrize(
    "text", ["je me rétracte, {number}", "comment annuler ma commande", "annuler 20451234"]
)
def test_a_wish_that_ends_no_order_repeats_the_question_that_waits_for_its_answer(text: str) -> None:
    """Within the two answers a day, and nothing is ordered or ended."""
    shelf = Shelf()
    assert say(shelf, "OK 3")[1] == ["confirm_question"]
    for told in (["confirm_question"], ["confirm_question"], []):
        row, kinds = say(shelf, text)
        assert (row.outcome, kinds, row.order_id) == ("asked", told, order(shelf).order_id)
    assert order(shelf).state == "awaiting_confirmation"


def test_a_withdrawal_that_names_an_unanswered_question_ends_no_other_order() -> None:
    shelf = ordered()
    placed = order(shelf)
    assert say(shelf, "OK 3")[1] == ["confirm_question"]
    row, told = say(shelf, "RETRACTATION {number}")
    assert (row.outcome, told) == ("asked", ["confirm_question"])
    assert shelf.orders[placed.order_id].state == "placed"


def test_what_is_meant_is_asked_once_an_order_and_then_read_by_a_person() -> None:
    shelf = ordered()
    assert say(shelf, "pas pressé")[1] == ["order_stands"]
    shelf.clock.advance(timedelta(days=1).total_seconds())
    row, told = say(shelf, "je l'ai pas encore reçu")
    assert (row.outcome, told, row.order_id) == ("asked", [], order(shelf).order_id)
    assert say(shelf, "NON {number}")[0].outcome == "cancel_requested"


def test_the_reason_that_is_recorded_is_what_was_understood_of_it() -> None:
    shelf = ordered()
    assert say(shelf, "comment annuler ma commande")[0].reason == (
        "'comment' beside 'annuler' may change what is wanted."
    )
    assert say(shelf, "annulez ma commande")[0].reason == "'annulez' and nothing that limits it."


# ------------------------------------------------------------ after delivery


@pytest.mark.parametrize(
    "text", ["NON {number}", "annulez ma commande", "je me rétracte", "RETRACTATION {number}"]
)
def test_within_its_term_a_wish_to_give_back_what_came_is_a_withdrawal(text: str) -> None:
    shelf = delivered()
    row, told = say(shelf, text)
    assert (order(shelf).state, row.outcome, told) == ("withdrawn", "withdrawn", ["order_withdrawn"])
    assert types(shelf) == ["order.withdrawn"]
    assert say(shelf, "NON {number}")[1] == ["order_withdrawn"]
    assert types(shelf) == ["order.withdrawn"]


@pytest.mark.parametrize("text", ["NON {number}", "annulez ma commande", "je me rétracte"])
def test_after_its_term_the_shop_is_asked_and_the_customer_hears_that_it_will_answer(text: str) -> None:
    shelf = delivered(days_ago=40)
    row, told = say(shelf, text)
    assert (order(shelf).state, row.outcome, told) == ("fulfilled", "cancel_requested", ["cancel_requested"])
    assert types(shelf) == ["order.cancel_requested"]
    assert "la boutique, qui vous répondra" in shelf.told[-1].body


@pytest.mark.parametrize("where", [{"country": "US"}, {"withdrawal": False}])
def test_where_the_law_gives_no_right_the_shop_is_asked(where: dict[str, object]) -> None:
    shelf = delivered()
    shelf.offer = replace(OFFER, **where)  # type: ignore[arg-type]
    assert say(shelf, "NON {number}")[0].outcome == "cancel_requested"
    assert order(shelf).state == "fulfilled"


def test_a_bare_cancel_word_after_delivery_ends_messages_and_the_shop_hears_of_the_wish() -> None:
    """It is a STOP by law, so it is no unequivocal withdrawal: what came is not given back by it alone."""
    shelf = delivered()
    row, told = say(shelf, "ANNULER")
    assert (row.outcome, order(shelf).state) == ("stopped", "fulfilled")
    assert sorted(told) == ["cancel_requested", "stop_confirmation"]
    assert types(shelf) == ["order.cancel_requested"]


def test_a_bare_cancel_word_long_after_delivery_is_a_stop_alone() -> None:
    shelf = delivered(days_ago=40)
    assert say(shelf, "ANNULER")[1] == ["stop_confirmation"]
    assert types(shelf) == []


@pytest.mark.parametrize(("days_ago", "way"), [(3, True), (40, False)])
def test_a_bare_no_after_delivery_names_no_order_and_is_asked_about(days_ago: int, way: bool) -> None:
    shelf = delivered(days_ago=days_ago)
    row, told = say(shelf, "NON")
    assert (row.outcome, told, order(shelf).state) == ("asked", ["order_stands"], "fulfilled")
    assert (f"Pour l'annuler: RETRACTATION {order(shelf).number}" in shelf.told[-1].body) is way


@pytest.mark.parametrize(
    ("state", "kind"),
    [(OrderState.REJECTED, "order_rejected"), (OrderState.EXPIRED, "order_cancelled"),
     (OrderState.DISPUTED, "order_disputed"), (OrderState.CANCELLED, "order_cancelled")],
)  # fmt: skip
def test_whoever_wants_an_order_ended_that_is_ended_hears_how_it_is(state: OrderState, kind: str) -> None:
    shelf = ordered()
    become(shelf, state)
    assert say(shelf, "NON {number}")[1] == [kind]
    assert types(shelf) == []


# ------------------------------------------------------------ what is said of the offer


@pytest.mark.parametrize(
    ("change", "unclear", "help_"),
    [
        ({}, "unclear", "help"),
        ({"stock": 0}, "sold_out", "help_closed"),
        ({"live": False}, "offer_closed", "help_closed"),
        ({"offer": replace(OFFER, expires_at=START - timedelta(hours=1))}, "late", "help_closed"),
    ],
)
def test_ok_is_named_as_a_way_to_order_only_while_it_is_one(
    change: dict[str, object], unclear: str, help_: str
) -> None:
    shelf = Shelf(**change)  # type: ignore[arg-type]
    assert say(shelf, "bof")[1] == [unclear]
    assert say(shelf, "aide")[1] == [help_]
    assert ("OK" in shelf.told[-1].body) is (help_ == "help")


def test_whoever_has_ordered_hears_of_the_order_and_never_that_nothing_is_ordered() -> None:
    for shelf, state in ((ordered(), OrderState.CONFIRMED), (delivered(), OrderState.FULFILLED)):
        become(shelf, state, days_ago=3)
        assert say(shelf, "bof")[1] == ["order_stands"]
        assert say(shelf, "aide")[1] == ["help_order"]
        word = "NON" if state is OrderState.CONFIRMED else "RETRACTATION"
        assert shelf.told[-1].body == (
            f"Boxman: contact bxm.fr. Commande {order(shelf).number} en cours, "
            f"pour l'annuler: {word} {order(shelf).number}. STOP = plus de messages"
        )


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "already_ordered"),
        ({"stock": 0}, "order_stands"),
        ({"live": False}, "order_stands"),
        ({"offer": replace(OFFER, expires_at=START - timedelta(hours=1))}, "order_stands"),
    ],
)
def test_a_second_ok_hears_of_its_order_also_when_the_offer_is_over(
    change: dict[str, object], kind: str
) -> None:
    """Not "nothing was ordered", nor how to order one more of what is gone."""
    shelf = ordered()
    for name, value in change.items():
        setattr(shelf, name, value)
    row, told = say(shelf, "ok merci")
    assert (row.outcome, told) == ("repeated", [kind])
    assert types(shelf) == []


def test_whoever_is_asked_for_a_second_yes_is_asked_again() -> None:
    shelf = Shelf()
    assert say(shelf, "OK 3")[1] == ["confirm_question"]
    assert say(shelf, "bof")[1] == ["confirm_question"]
    assert order(shelf).state == "awaiting_confirmation"


def test_an_ok_with_no_open_offer_hears_that_it_ordered_nothing() -> None:
    shelf = Shelf(open=dict.fromkeys(PEOPLE, False))
    row, told = say(shelf, "OK")
    assert (row.outcome, told, shelf.orders) == ("no_open_offer", ["no_offer"], {})
    assert shelf.told[-1].body == (
        "Boxman: aucune offre en cours, votre réponse n'a rien commandé. Contact bxm.fr."
    )
    assert say(shelf, "aide")[1] == ["help_closed"]
    assert "OK" not in shelf.told[-1].body


def test_a_no_with_no_open_offer_hears_that_it_did_nothing_within_the_answers_of_a_day() -> None:
    """After a STOP, whose confirmation says that the order stays, it may be the order that is meant."""
    shelf = ordered()
    assert say(shelf, "STOP")[1] == ["stop_confirmation"]
    row, told = say(shelf, "NON")
    assert (row.outcome, told, order(shelf).state) == ("no_open_offer", ["no_offer"], "placed")
    assert "Contact bxm.fr" in shelf.told[-1].body
    assert say(shelf, "non merci")[1] == ["no_offer"]
    row, told = say(shelf, "NON!")
    assert (row.outcome, told) == ("no_open_offer", [])
    assert say(shelf, "NON {number}")[1] == ["order_cancelled"]


def test_after_the_window_a_plain_no_is_the_shops_to_decide() -> None:
    shelf = ordered()
    shelf.clock.advance(USUAL_TERMS.cancel_window_s)
    row, told = say(shelf, "NON")
    assert (row.outcome, told, order(shelf).state) == ("cancel_requested", ["cancel_requested"], "placed")


def test_the_window_is_the_offers_and_the_receipt_names_its_end() -> None:
    """Noon in Paris and eleven minutes: 13:11."""
    for window_s, told, outcome in (
        (7_200, "Pour annuler avant 15:11: NON", "cancelled"),
        (172_800, "Pour annuler avant 25.11. 13:11: NON", "cancelled"),
        (0, None, "cancel_requested"),
    ):
        shelf = Shelf(offer=replace(OFFER, terms=OrderTerms(cancel_window_s=window_s)))
        say(shelf, "OK")
        receipt = shelf.told[-1].body
        assert told in receipt if told else "Pour annuler" not in receipt
        shelf.clock.advance(max(window_s - 2 * LATER.total_seconds(), 0))
        assert say(shelf, "NON")[0].outcome == outcome
