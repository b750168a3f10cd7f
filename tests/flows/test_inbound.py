"""What people answer, over a real socket: offers, orders and consent."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.events import order_data
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.orders import Orders
from smsgate.ids import IdMaker
from smsgate.security.public_ids import PublicIds
from smsgate.store.orders import PgOrders
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, order_numbers, outcomes, say, stock
from tests.flows.world import FIRST_MSISDN, MERCHANT, MO_MICROS, SENDER, STAMPS, Nudges, a_world, eventually

# An offer that waits for the answer to another one would be sent when it is nearly over: it is not sent.
TOO_SHORT_TO_WAIT = LIFE_MIN + timedelta(minutes=5)


async def test_an_ok_is_an_order_with_receipt_event_stock_and_charge(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        (receipt,) = await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        assert "19,90€" in receipt
        assert number in receipt
        (event,) = await events(world, "order.created")
        assert (event["number"], event["quantity"], event["msisdn"]) == (number, 1, f"+{FIRST_MSISDN + 1}")
        assert await stock(world) == 9
        charged = await world.value(
            "SELECT sum(amount_micros)::bigint FROM ledger_entry "
            "WHERE direction = 'mo' AND account = 'unbilled'"
        )
        assert charged == MO_MICROS
        assert await world.value("SELECT count(*) FROM open_offer WHERE answered_at IS NOT NULL") == 1
        assert await outcomes(world) == {"ordered": 1}


async def test_a_deliver_sm_that_comes_twice_is_one_order_and_one_receipt(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        mos = [world.answer(1, "OK") for _ in range(3)]  # the same octets, in one read or in three
        await eventually(lambda: all(mo.taken for mo in mos))
        await say(world, 1, "OK", answers=0)
        await eventually(lambda: len(world.texts_to(1)) == 2)
        assert len(await order_numbers(world)) == 1
        assert await stock(world) == 9


async def test_a_second_ok_is_told_that_it_is_ordered_already(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        (told,) = await say(world, 1, "ok merci")
        assert number in told
        assert await order_numbers(world) == [number]
        assert await outcomes(world) == {"ordered": 1, "repeated": 1}


async def test_a_number_is_the_quantity_up_to_the_maximum(database: Database) -> None:
    async with an_open_offer(database, stock=10, quantity_max=5) as (world, _):
        (receipt,) = await say(world, 1, "OK 3")
        assert "59,70€" in receipt
        assert await stock(world) == 7
        (told,) = await say(world, 2, "OK 6")
        assert "5" in told
        assert await world.value("SELECT sum(quantity) FROM orders WHERE state = 'placed'") == 3
        assert await outcomes(world) == {"ordered": 1, "over_maximum": 1}


async def test_nothing_is_ordered_with_zero(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK 0")
        assert await order_numbers(world) == []


async def test_thirty_people_want_the_last_ten_pieces(database: Database) -> None:
    async with an_open_offer(database, subscribers=30, stock=10) as (world, _):
        mos = [world.answer(number, "OK") for number in range(30)]
        await eventually(lambda: all(mo.taken for mo in mos))
        await eventually(lambda: world.simulator.phones.received == 60)
        assert len(await order_numbers(world)) == 10
        assert await stock(world) == 0
        assert await outcomes(world) == {"ordered": 10, "sold_out": 20}
        assert len(await events(world, "offer.sold_out")) == 1


async def test_an_ok_after_the_grace_is_late_and_one_within_it_orders(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '14 minutes'")
        await say(world, 1, "OK")
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '16 minutes'")
        await say(world, 2, "OK")
        assert await outcomes(world) == {"ordered": 1, "late": 1}
        assert len(await events(world, "offer.late_reply")) == 1


async def test_the_next_offer_waits_for_the_grace_of_the_last_one(database: Database) -> None:
    """An OK in the grace must mean the offer that was read, never a newer one."""
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '10 minutes'")
        await world.execute("UPDATE open_offer SET expires_at = now() - interval '10 minutes'")
        newer = await world.campaign(expires_in=TOO_SHORT_TO_WAIT)
        await eventually(lambda: world.finished(newer))
        assert (await world.counters(newer))["not_sent"] == 3
        await say(world, 1, "OK")
        assert await world.value("SELECT campaign_id <> $1 FROM orders", newer)
        await world.execute("UPDATE open_offer SET expires_at = now() - interval '16 minutes'")
        newest = await world.campaign()
        await eventually(lambda: world.finished(newest))
        await eventually(lambda: len(world.texts_to(2)) == 2)
        await say(world, 2, "OK")
        assert await world.value("SELECT count(*) FROM orders WHERE campaign_id = $1", newest) == 1


async def test_a_no_declines_in_silence(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "Non merci", answers=0)
        assert await outcomes(world) == {"declined": 1}
        assert await world.value("SELECT n FROM campaign_counter WHERE kind = 'declines'") == 1


async def test_no_with_the_number_cancels_and_gives_the_stock_back(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        (number,) = await order_numbers(world)
        assert await stock(world) == 8
        (told,) = await say(world, 1, f"NON {number}")
        assert number in told
        assert await stock(world) == 10
        assert await world.value("SELECT state FROM orders") == "cancelled"
        assert len(await events(world, "order.cancelled")) == 1


async def test_a_no_after_the_window_asks_the_shop_and_tells_the_customer(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        (number,) = await order_numbers(world)
        await world.execute("UPDATE orders SET placed_at = placed_at - interval '61 minutes'")
        (told,) = await say(world, 1, f"NON {number}")
        assert told == (
            f"Boxman: votre demande d'annuler la commande {number} est transmise à la boutique, "
            "qui vous répondra."
        )
        assert await world.value("SELECT state FROM orders") == "placed"
        assert await stock(world) == 8
        assert len(await events(world, "order.cancel_requested")) == 1
        assert await outcomes(world) == {"ordered": 1, "cancel_requested": 1}


async def test_every_event_about_an_order_has_the_same_fields(database: Database) -> None:
    """Whether a customer's answer makes it or the shop's; amounts are whole minor units."""
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        await say(world, 2, "OK")
        await say(world, 2, "NON")
        ids = IdMaker(40, lambda: int(time.time() * 1000))
        orders = Orders(PgOrders(database, STAMPS), ids, SystemClock(), PublicIds(bytes(32)), Nudges())
        order_id = await world.value("SELECT min(order_id) FROM orders")
        await orders.confirm(MERCHANT, order_id, "B-1")
        await world.execute("UPDATE orders SET placed_at = placed_at - interval '61 minutes'")
        await say(world, 1, "NON")
        created, *_ = await events(world, "order.created")
        (cancelled,) = await events(world, "order.cancelled")
        (requested,) = await events(world, "order.cancel_requested")
        shops = order_data(await PgOrders(database, STAMPS).get(MERCHANT, order_id), PublicIds(bytes(32)))
        assert created.keys() == cancelled.keys() == requested.keys() == shops.keys()
        assert (created["unit_price_minor"], created["total_minor"], created["currency"]) == (
            1990,
            3980,
            "EUR",
        )
        assert (created["order_ref"], requested["order_ref"], shops["order_ref"]) == ("", "B-1", "B-1")
        assert (created["sequence"], requested["sequence"], cancelled["sequence"]) == (1, 3, 2)
        changing = {"state", "sequence", "order_ref", "placed_at"}  # the last was set back above
        for key in created.keys() - changing:
            assert created[key] == requested[key] == shops[key], key


async def test_no_with_the_number_cancels_after_a_newer_offer_took_the_place(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        (number,) = await order_numbers(world)
        newer = await world.campaign(stock=4, expires_in=TOO_SHORT_TO_WAIT)
        await eventually(lambda: world.finished(newer))
        await eventually(lambda: len(world.texts_to(1)) == 3)
        (told,) = await say(world, 1, f"NON {number}")
        assert number in told
        assert await world.value("SELECT state FROM orders") == "cancelled"
        rows = await world.rows("SELECT stock_remaining FROM offer ORDER BY offer_id")
        assert [row["stock_remaining"] for row in rows] == [10, 4]
        await say(world, 1, "OK")  # the newer offer is still open
        assert await world.value("SELECT count(*) FROM orders WHERE campaign_id = $1", newer) == 1


async def test_no_with_somebody_elses_number_changes_nothing(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        await say(world, 2, f"NON {number}")
        assert await world.value("SELECT state FROM orders") == "placed"
        await say(world, 2, "OK")
        assert len(await order_numbers(world)) == 2


async def test_after_a_cancel_an_ok_orders_again(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        await say(world, 1, "NON")
        (receipt,) = await say(world, 1, "OK svp")
        numbers = await order_numbers(world)
        assert len(numbers) == 2
        assert numbers[1] in receipt
        assert await stock(world) == 9


@pytest.mark.parametrize(("said", "yes", "pieces"), [("OK", "oui", 1), ("OK 2", "OUI 2", 2)])
async def test_after_a_cancel_the_same_ok_is_asked_about_and_never_lost_in_silence(
    database: Database, said: str, yes: str, pieces: int
) -> None:
    """A handset's repetition, or a change of mind: no receipt says any more what is ordered."""
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, said)
        await say(world, 1, "NON")
        (told,) = await say(world, 1, said)
        assert f"{pieces} CD Madonna" in told
        assert f"{yes.upper()} = commande avec obligation de paiement" in told
        assert await outcomes(world) == {"ordered": 1, "cancelled": 1, "repetition": 1}
        assert await stock(world) == 10
        await say(world, 1, "NON", answers=0)  # nor is who says no again asked for a yes
        assert await outcomes(world) == {"ordered": 1, "cancelled": 1, "repetition": 1}
        (receipt,) = await say(world, 1, yes)
        assert (await order_numbers(world))[1] in receipt
        assert await stock(world) == 10 - pieces
        await say(world, 1, said, answers=0)  # it is ordered again, and its receipt says so


async def test_a_no_that_is_said_again_after_an_ok_hears_that_its_order_stands(database: Database) -> None:
    """Nobody can tell whether it is the first no that comes late: it ends nothing, and is no silence."""
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "NON", answers=0)
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        (told,) = await say(world, 1, "NON")
        assert f"Pour l'annuler: NON {number}" in told
        assert await outcomes(world) == {"declined": 1, "ordered": 1, "repetition": 1}
        about = await world.value("SELECT order_id FROM inbound_message WHERE outcome = 'repetition'")
        assert about == await world.value("SELECT order_id FROM orders")
        await say(world, 1, f"NON {number}")
        assert await stock(world) == 10


@pytest.mark.parametrize("text", ["NON", "NON {number}", "annulez ma commande"])
async def test_a_no_that_its_handset_repeats_is_answered_once(database: Database, text: str) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        await world.execute("UPDATE offer_version SET cancel_window_s = 0")
        await say(world, 1, text.format(number=number))
        await say(world, 1, text.format(number=number), answers=0)
        assert await outcomes(world) == {"ordered": 1, "cancel_requested": 1}


async def test_stop_revokes_consent_with_one_confirmation_and_closes_the_offer(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP")
        await say(world, 1, "Stop!", answers=0)
        await say(world, 1, "OK")  # told that nothing is open
        assert await order_numbers(world) == []
        states = await world.rows("SELECT offers_state FROM subscriber ORDER BY subscriber_id")
        assert [row["offers_state"] for row in states] == ["subscribed", "unsubscribed", "subscribed"]
        assert len(await events(world, "consent.revoked")) == 1
        await world.execute("UPDATE open_offer SET answered_at = now()")
        newer = await world.campaign(text="Boxman: CD Abba. OK = commande avec obligation de paiement")
        await eventually(lambda: world.finished(newer))
        assert len(world.texts_to(1)) == 3


async def test_a_stop_is_taken_however_often_it_is_said(database: Database) -> None:
    """STOP, START, STOP within minutes: the last one has the octets of the first and is no redelivery."""
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP")
        await say(world, 1, "START")
        await say(world, 1, "STOP")
        state = await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = 10001")
        assert state == "unsubscribed"
        assert len(await events(world, "consent.revoked")) == 2


async def test_stop_and_start_in_one_group_end_as_the_person_said_last(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        async with world.locked("mo_seen"):
            world.answer(0, "hm?")
            await eventually(lambda: gateway.intake.busy)
            for number, texts in ((1, ("STOP", "START")), (2, ("START", "STOP"))):
                for text in texts:
                    world.answer(number, text)
            await eventually(lambda: gateway.intake.backlog() == 4)
        await eventually(lambda: world.log.mos_acknowledged == 5)
        rows = await world.rows("SELECT offers_state FROM subscriber ORDER BY subscriber_id")
        assert [row["offers_state"] for row in rows] == ["subscribed", "subscribed", "unsubscribed"]
        assert FIRST_MSISDN + 2 in gateway.pump.look.stops.held(7)
        assert not gateway.pump.look.stops.undecided(SENDER)


async def test_an_ok_before_a_stop_orders_and_one_after_it_does_not(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        async with world.locked("mo_seen"):
            world.answer(0, "hm?")
            await eventually(lambda: gateway.intake.busy)
            for number, texts in ((1, ("OK", "STOP")), (2, ("STOP", "OK"))):
                for text in texts:
                    world.answer(number, text)
            await eventually(lambda: gateway.intake.backlog() == 4)
        await eventually(lambda: world.log.mos_acknowledged == 5)
        rows = await world.rows("SELECT msisdn FROM orders")
        assert [row["msisdn"] for row in rows] == [FIRST_MSISDN + 1]


async def test_the_same_ok_to_the_next_offer_is_asked_about_and_never_lost_in_silence(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        first = await world.campaign()
        await eventually(lambda: world.finished(first))
        await say(world, 0, "OK")
        second = await world.campaign()
        await eventually(lambda: world.finished(second))
        await say(world, 0, "OK")
        assert await world.value("SELECT count(*) FROM orders") == 1
        outcomes = await world.rows("SELECT outcome FROM inbound_message ORDER BY inbound_id")
        assert [row["outcome"] for row in outcomes] == ["ordered", "repetition"]
        told = world.texts_to(0)[-1]
        assert "OK = " not in told  # for so long as it is a repetition, it orders nothing
        assert "1 CD Madonna, total 19,90" in told
        assert "OUI = commande avec obligation de paiement" in told
        assert await world.value("SELECT count(*) FROM ledger_entry WHERE direction = 'mo'") == 2
        await say(world, 0, "oui")
        assert await world.value("SELECT count(*) FROM orders") == 2


async def test_the_word_asked_back_orders_as_many_as_the_text_says(database: Database) -> None:
    async with a_world(database, subscribers=2) as world, world.gateway():
        first = await world.campaign()
        await eventually(lambda: world.finished(first))
        await say(world, 0, "OK 2")
        await say(world, 1, "NON", answers=0)
        second = await world.campaign()
        await eventually(lambda: world.finished(second))
        (told,) = await say(world, 0, "OK 2")
        assert "2 CD Madonna, total 39,80" in told
        assert "OUI 2 = commande" in told
        (told,) = await say(world, 1, "NON")
        assert "rien n'est encore" in told  # nobody who said no is asked for a yes
        await say(world, 0, "OUI 2")
        assert [row["quantity"] for row in await world.rows("SELECT quantity FROM orders")] == [2, 2]


async def test_where_the_carrier_writes_no_ucs2_a_reader_of_russian_is_answered_in_the_offers_language(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {"ucs2": False}
        await world.execute("UPDATE subscriber SET language = 'ru'")
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == 1)
            (receipt,) = await say(world, 0, "да")
            assert "votre OK est bien recu" in receipt
            ids = IdMaker(3, lambda: time.time_ns() // 1_000_000)
            store, ucs2 = PgOrders(database, STAMPS), gateway.switchboard.writes_ucs2
            orders = Orders(store, ids, SystemClock(), PublicIds(bytes(32)), Nudges(), ucs2)
            await orders.reject(MERCHANT, await world.value("SELECT order_id FROM orders"))
            await eventually(lambda: len(world.texts_to(0)) == 3)
            assert "n'a pas pu prendre la commande" in world.texts_to(0)[-1]
            (bye,) = await say(world, 0, "СТОП")
            assert "vous ne recevrez plus nos messages" in bye
