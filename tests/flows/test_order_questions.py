"""Orders that are asked about first, and what customers want done with those that are there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.orders import Orders, ShopAnswer
from smsgate.ids import IdMaker
from smsgate.links.profile_senders import SenderNumber
from smsgate.security.public_ids import PublicIds
from smsgate.store.orders import PgOrders
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, order_numbers, outcomes, say, stock
from tests.flows.test_consent_by_sms import a_second_merchant
from tests.flows.world import MERCHANT, OTHER_SENDER, SENDER, STAMPS, Nudges, World, a_world, eventually

ASK_ABOVE = 3_000  # two CDs at 19.90 are above it


def orders_of(database: Database) -> Orders:
    ids = IdMaker(40, lambda: int(time.time() * 1000))
    return Orders(PgOrders(database, STAMPS), ids, SystemClock(), PublicIds(bytes(32)), Nudges())


async def the_order(world: World) -> Any:
    (row,) = await world.rows("SELECT * FROM orders")
    return row


async def ask_above(world: World) -> None:
    await world.execute("UPDATE offer_version SET ask_above_minor = $1", ASK_ABOVE)


async def make_due(world: World) -> None:
    """Let the time come for whatever is due."""
    await world.execute("UPDATE orders SET due_at = now() - interval '1 second'")


async def test_a_total_above_the_threshold_is_asked_about_and_ordered_by_the_yes(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        (question,) = await say(world, 1, "OK 2")
        assert (
            question
            == "Boxman: 2 CD Madonna, total 39,80€. OUI = commande avec obligation de paiement, NON = rien."
        )
        assert (await the_order(world))["state"] == "awaiting_confirmation"
        assert await stock(world) == 8
        assert await events(world, "order.created") == []
        (receipt,) = await say(world, 1, "OUI")
        order = await the_order(world)
        assert order["number"] in receipt
        assert (order["state"], order["quantity"], order["due_event"]) == ("placed", 2, "shop_late")
        assert await stock(world) == 8
        (created,) = await events(world, "order.created")
        assert (created["quantity"], created["sequence"], created["state"]) == (2, 2, "placed")
        assert await outcomes(world) == {"ask": 1, "ordered": 1}


async def test_the_carriers_repetition_of_the_first_answer_never_answers_the_question(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 2")
        (again,) = await say(world, 1, "OK 2")
        assert "OUI = commande" in again
        assert (await the_order(world))["state"] == "awaiting_confirmation"


async def test_a_total_at_the_threshold_is_ordered_at_once(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 1")
        assert (await the_order(world))["state"] == "placed"


@pytest.mark.parametrize("word", ["NON", "non merci"])
async def test_a_no_to_the_question_gives_the_stock_back_in_silence(database: Database, word: str) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 2")
        await say(world, 1, word, answers=0)
        assert (await the_order(world))["state"] == "expired"
        assert await stock(world) == 10
        assert await outcomes(world) == {"ask": 1, "declined": 1}


async def test_too_many_are_offered_as_many_as_may_be_ordered_with_their_total(database: Database) -> None:
    async with an_open_offer(database, stock=10, quantity_max=3) as (world, _):
        (told,) = await say(world, 1, "OK 7")
        assert told == (
            "Boxman: au plus 3 CD Madonna, total 59,70€. "
            "OK 3 = commande avec obligation de paiement, NON = rien."
        )
        await say(world, 1, "OK")
        order = await the_order(world)
        assert (order["state"], order["quantity"], order["total_minor"]) == ("placed", 3, 5_970)
        assert await stock(world) == 7


async def test_more_than_there_is_are_offered_as_many_as_there_are(database: Database) -> None:
    async with an_open_offer(database, stock=2, quantity_max=5) as (world, _):
        (told,) = await say(world, 1, "OK 4")
        assert "au plus 2 CD Madonna" in told
        (other,) = await say(world, 2, "OK")
        assert "épuisé" in other
        await say(world, 1, "OK 1")
        order = await the_order(world)
        assert (order["state"], order["quantity"]) == ("placed", 1)
        assert await stock(world) == 1


async def test_another_number_is_another_question_while_its_total_is_above_the_threshold(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 2")
        (question,) = await say(world, 1, "OK 4")
        assert "4 CD Madonna, total 79,60€" in question
        assert await stock(world) == 6
        await say(world, 1, "OK 1")
        order = await the_order(world)
        assert (order["state"], order["quantity"], order["total_minor"]) == ("placed", 1, 1_990)
        assert await stock(world) == 9


async def test_held_stock_is_free_after_ten_minutes_and_the_answer_still_counts_while_there_is_some(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=3, quantity_max=3) as (world, _):
        orders = orders_of(database)
        await ask_above(world)
        await say(world, 1, "OK 2")
        waits_s = await world.value("SELECT extract(epoch FROM due_at - created_at)::int FROM orders")
        assert waits_s == 600
        await make_due(world)
        await orders.fire_due()
        assert await stock(world) == 3
        assert (await the_order(world))["due_event"] == "question_expired"
        await say(world, 1, "OUI")
        assert (await the_order(world))["state"] == "placed"
        assert await stock(world) == 1


async def test_a_yes_whose_stock_is_gone_by_then_orders_nothing_and_is_told_so(database: Database) -> None:
    async with an_open_offer(database, stock=2, quantity_max=3) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 2")
        await make_due(world)
        await orders_of(database).fire_due()
        await say(world, 2, "OK")
        (told,) = await say(world, 1, "OUI")
        assert "épuisé" in told
        assert await stock(world) == 1
        rows = await world.rows("SELECT state FROM orders ORDER BY order_id")
        assert [row["state"] for row in rows] == ["expired", "placed"]


async def test_silence_for_a_day_ends_the_question(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        orders = orders_of(database)
        await ask_above(world)
        await say(world, 1, "OK 2")
        for _ in range(2):
            await make_due(world)
            await orders.fire_due()
        order = await the_order(world)
        assert (order["state"], order["due_at"], order["stock_held"]) == ("expired", None, False)
        assert await stock(world) == 10
        assert len(world.texts_to(1)) == 2  # the offer and the question


async def test_a_yes_after_the_offers_end_is_late_and_gives_the_stock_back(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await ask_above(world)
        await say(world, 1, "OK 2")
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '16 minutes'")
        (told,) = await say(world, 1, "OUI")
        assert "terminée" in told
        assert (await the_order(world))["state"] == "expired"
        assert await stock(world) == 10
        assert len(await events(world, "offer.late_reply")) == 1


async def test_an_ok_to_an_offer_that_was_taken_back_hears_so(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE offer SET state = 'withdrawn'")
        (told,) = await say(world, 1, "OK")
        assert told == "Boxman: l'offre CD Madonna est retirée. Rien n'a été commandé."
        assert await outcomes(world) == {"closed": 1}


# ------------------------------------------------------------ what is wanted of an order


async def delivered(world: World, ago: timedelta) -> None:
    await world.execute(
        "UPDATE orders SET state = 'fulfilled', due_at = NULL, delivered_at = now() - $1::interval, "
        "placed_at = now() - interval '60 days'",
        ago,
    )


async def test_a_withdrawal_within_its_period_is_taken_with_a_dated_receipt(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        await delivered(world, timedelta(days=13))
        await world.execute("DELETE FROM open_offer")  # other offers came and went meanwhile
        (told,) = await say(world, 1, "je me rétracte")
        (number,) = await order_numbers(world)
        assert f"rétractation bien recue pour la commande {number}" in told
        assert f"{time.strftime('%Y')} " in told
        assert (await the_order(world))["state"] == "withdrawn"
        assert len(await events(world, "order.withdrawn")) == 1
        assert await outcomes(world) == {"ordered": 1, "withdrawn": 1}


@pytest.mark.parametrize(
    "change", ["delivered_at = now() - interval '40 days'", "delivered_at = delivered_at"]
)
async def test_a_withdrawal_after_its_period_or_excepted_by_law_is_the_shops_to_decide(
    database: Database, change: str
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        await delivered(world, timedelta(days=1))
        await world.execute(f"UPDATE orders SET {change}")
        if "days" not in change:
            await world.execute("UPDATE offer_version SET withdrawal = false")
        (told,) = await say(world, 1, "je me rétracte")
        assert "transmise à la boutique" in told
        assert (await the_order(world))["state"] == "fulfilled"
        assert len(await events(world, "order.cancel_requested")) == 1


async def test_that_an_order_stands_is_said_once_also_on_the_next_day(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        (told,) = await say(world, 1, "n'annulez pas ma commande")
        assert told == (
            f"Boxman: commande {number} (CD Madonna): rien n'a changé. Pour l'annuler: NON {number}. "
            "La boutique lira votre message."
        )
        await world.execute("DELETE FROM answer_count")  # as the next day does
        await say(world, 1, "je l'ai pas encore reçu", answers=0)
        steps = await world.rows("SELECT event, state FROM order_event ORDER BY seq")
        assert [tuple(step) for step in steps] == [("customer_ok", "placed"), ("customer_unclear", "placed")]
        rows = await world.rows("SELECT outcome, order_id IS NOT NULL AS known FROM inbound_message")
        assert Counter(map(tuple, rows)) == {("ordered", True): 1, ("asked", True): 2}
        assert await stock(world) == 9


async def test_whoever_never_ordered_is_heard_and_a_person_looks_at_it(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        (told,) = await say(world, 1, "je n'ai rien commandé")
        assert "Une personne va regarder" in told
        assert (await the_order(world))["state"] == "disputed"
        assert len(await events(world, "order.disputed")) == 1


async def test_several_orders_are_asked_about_by_their_numbers(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        await say(world, 1, "OK 1")
        numbers = await order_numbers(world)
        (told,) = await say(world, 1, "j'annule ma commande")
        assert all(number in told for number in numbers)
        assert "NON et le numéro" in told
        assert await world.value("SELECT count(*) FROM orders WHERE state = 'placed'") == 2
        await say(world, 1, f"NON {numbers[0]}")
        rows = await world.rows("SELECT number FROM orders WHERE state = 'cancelled'")
        assert [row["number"] for row in rows] == numbers[:1]


async def test_a_bare_cancel_word_stops_messages_and_cancels_the_order(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        told = await say(world, 1, "ANNULER", answers=2)
        assert any("annulée" in text for text in told)
        assert sum("plus nos messages" in text for text in told) == 1
        assert (await the_order(world))["state"] == "cancelled"
        assert await stock(world) == 10
        assert (
            await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = 10001")
            == "unsubscribed"
        )


async def test_a_bare_cancel_word_without_an_order_is_a_stop_alone(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        (told,) = await say(world, 1, "CANCEL")
        assert "plus nos messages" in told


@asynccontextmanager
async def an_order_and_another_merchants_number(database: Database) -> AsyncIterator[tuple[World, str]]:
    """Have ordered at Boxman, from its number; Disco Mania, who knows the person too, has one of its own."""
    async with a_world(database, subscribers=3) as world:
        await a_second_merchant(world)
        world.profile_changes["senders"] = (
            SenderNumber(number=SENDER, receives=True, merchants=("boxman",)),
            SenderNumber(number=OTHER_SENDER, receives=True, merchants=("disco",)),
        )
        campaign_id = await world.campaign(stock=10)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await say(world, 1, "OK")
            (number,) = await order_numbers(world)
            yield world, number


@pytest.mark.parametrize(
    "text", ["ANNULER", "j'annule ma commande", "comment annuler ma commande", "je n'ai rien commandé"]
)
async def test_what_is_written_to_one_merchants_number_is_not_about_another_merchants_order(
    database: Database, text: str
) -> None:
    async with an_order_and_another_merchants_number(database) as (world, number):
        (told,) = await say(world, 1, text, to=OTHER_SENDER)
        assert (await the_order(world))["state"] == "placed"
        assert number not in told
        assert told.startswith("Disco Mania:")
        heard = await world.rows("SELECT order_id FROM inbound_message WHERE destination = $1", OTHER_SENDER)
        assert [row["order_id"] for row in heard] == [None]


@pytest.mark.parametrize("text", ["NON {number}", "annulez ma commande {number}"])
async def test_an_order_that_is_named_is_meant_whatever_number_is_written_to(
    database: Database, text: str
) -> None:
    async with an_order_and_another_merchants_number(database) as (world, number):
        (told,) = await say(world, 1, text.format(number=number), to=OTHER_SENDER)
        assert told.startswith(f"Boxman: commande {number} (CD Madonna) annulée.")
        assert (await the_order(world))["state"] == "cancelled"


# ------------------------------------------------------------ by time alone


async def with_an_endpoint(world: World, state: str) -> None:
    """Give the merchant a shop that has, or has not, taken what it was sent."""
    await world.execute(
        "INSERT INTO webhook_endpoint (merchant_id, endpoint_id, url, event_types, secret, state) "
        "VALUES ($1, 5, 'https://shop.example/', '{}', '', 'active')",
        MERCHANT,
    )
    await world.execute(
        "INSERT INTO webhook_delivery (merchant_id, event_id, endpoint_id, subject, state, next_attempt_at) "
        "SELECT merchant_id, event_id, 5, subject, $1, now() FROM event",
        state,
    )


@pytest.mark.parametrize("answer_s", [86_400, 7_200])
async def test_a_shop_is_waited_for_as_long_as_its_offer_says(database: Database, answer_s: int) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await world.execute("UPDATE offer_version SET shop_answer_s = $1", answer_s)
        await say(world, 1, "OK")
        await with_an_endpoint(world, "pending")
        await world.execute("UPDATE orders SET due_at = now()")
        await orders_of(database).fire_due()
        order = await the_order(world)
        assert order["due_event"] == "shop_silent"
        assert (order["due_at"] - order["changed_at"]).total_seconds() == answer_s - 3_600


@pytest.mark.parametrize("texts", [1, 0])
async def test_a_confirmation_is_texted_once_where_the_offer_says_so(database: Database, texts: int) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await world.execute("UPDATE offer_version SET confirm_by_sms = $1", bool(texts))
        await say(world, 1, "OK 2")
        order, orders = await the_order(world), orders_of(database)
        for _ in range(2):
            await orders.confirm(MERCHANT, order["order_id"], "B-1")
        assert await orders.apply_shop_answer(
            MERCHANT, order["order_id"], {"decision": "confirm", "order_ref": "B-1"}
        )
        await eventually(lambda: len(world.texts_to(1)) == 2 + texts)
        told = await world.rows("SELECT body FROM message WHERE kind = 'order_confirmed'")
        assert [row["body"] for row in told] == [
            f"Boxman: commande {order['number']} confirmée: 2 CD Madonna 39,80€."
        ] * texts


async def test_while_the_shop_is_out_of_reach_the_buyer_hears_once_and_then_owes_nothing(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        orders = orders_of(database)
        await say(world, 1, "OK")
        await with_an_endpoint(world, "pending")
        assert await world.value("SELECT extract(epoch FROM due_at - placed_at)::int FROM orders") == 3_600
        await make_due(world)
        await orders.fire_due()
        await orders.fire_due()
        await eventually(lambda: len(world.texts_to(1)) == 3)
        assert "n'a pas encore répondu" in world.texts_to(1)[-1]
        assert (await the_order(world))["state"] == "placed"
        await make_due(world)
        await orders.fire_due()
        await orders.fire_due()
        await eventually(lambda: len(world.texts_to(1)) == 4)
        assert "vous ne devez rien" in world.texts_to(1)[-1]
        assert (await the_order(world))["state"] == "cancelled"
        assert await stock(world) == 10
        assert len(await events(world, "order.cancelled")) == 1


@pytest.mark.parametrize("endpoint", [True, False])
async def test_a_shop_that_has_the_order_or_reads_it_by_itself_may_take_its_time(
    database: Database, endpoint: bool
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        if endpoint:
            await with_an_endpoint(world, "delivered")
        await make_due(world)
        await orders_of(database).fire_due()
        order = await the_order(world)
        assert (order["state"], order["due_at"]) == ("placed", None)
        assert len(world.texts_to(1)) == 2


@pytest.mark.parametrize("decision", ["confirm", "reject"])
async def test_a_disputed_order_is_decided_by_a_person_and_not_by_the_answer_to_an_event(
    database: Database, decision: str
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        await say(world, 1, "je n'ai rien commandé")
        order, orders = await the_order(world), orders_of(database)
        assert order["state"] == "disputed"
        answered = await orders.apply_shop_answer(MERCHANT, order["order_id"], {"decision": decision})
        assert answered is ShopAnswer.REFUSED
        assert (await the_order(world))["state"] == "disputed"
        by_a_person = await getattr(orders, decision)(MERCHANT, order["order_id"])
        assert by_a_person.state == f"{decision}ed"
