"""What people answer, over a real socket: one transaction each, and the carrier's answer after it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from smsgate.daemon.gateway import Gateway
from smsgate.store.pool import Database
from tests.flows.world import FIRST_MSISDN, MO_MICROS, SENDER, World, a_world, eventually


@asynccontextmanager
async def an_open_offer(
    database: Database, subscribers: int = 3, **campaign: Any
) -> AsyncIterator[tuple[World, Gateway]]:
    """Have everybody got the offer, and the gateway running."""
    async with a_world(database, subscribers=subscribers) as world:
        campaign_id = await world.campaign(**campaign)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == subscribers)
            yield world, gateway


async def say(world: World, number: int, text: str, *, answers: int = 1) -> list[str]:
    """Let a phone say something; return the `answers` texts it got for it."""
    before = len(world.texts_to(number))
    mo = world.answer(number, text)
    await eventually(lambda: mo.taken)
    await eventually(lambda: len(world.texts_to(number)) >= before + answers)
    if not answers:
        await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        await eventually(lambda: world.simulator.smsc._under_way == 0)
    return world.texts_to(number)[before:]


async def outcomes(world: World) -> Counter[str]:
    rows = await world.rows("SELECT outcome FROM inbound_message")
    return Counter(row["outcome"] for row in rows)


async def events(world: World, type_: str) -> list[Any]:
    rows = await world.rows("SELECT data::text FROM event WHERE type = $1 ORDER BY event_id", type_)
    return [orjson.loads(row["data"]) for row in rows]


async def order_numbers(world: World) -> list[str]:
    return [row["number"] for row in await world.rows("SELECT number FROM orders ORDER BY order_id")]


async def stock(world: World) -> int | None:
    found: int | None = await world.value("SELECT stock_remaining FROM offer")
    return found


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
        assert await world.value("SELECT sum(quantity) FROM orders") == 3
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
        newer = await world.campaign()
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


async def test_no_with_the_number_cancels_after_a_newer_offer_took_the_place(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        (number,) = await order_numbers(world)
        newer = await world.campaign(stock=4)
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


async def test_stop_revokes_consent_with_one_confirmation_and_closes_the_offer(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP")
        await say(world, 1, "Stop!", answers=0)
        await say(world, 1, "OK")  # told that nothing is open
        assert await order_numbers(world) == []
        states = await world.rows("SELECT offers_state FROM subscriber ORDER BY subscriber_id")
        assert [row["offers_state"] for row in states] == ["subscribed", "unsubscribed", "subscribed"]
        assert len(await events(world, "consent.revoked")) == 1
        newer = await world.campaign(text="Boxman: CD Abba. OK = commande avec obligation de paiement")
        await world.execute("UPDATE open_offer SET answered_at = now()")
        await eventually(lambda: world.finished(newer))
        assert len(world.texts_to(1)) == 3


async def test_a_stop_is_taken_however_often_it_is_said(database: Database) -> None:
    """STOP, START, STOP within minutes: the last one has the octets of the first and is no redelivery."""
    async with an_open_offer(database) as (world, gateway):
        await say(world, 1, "STOP")
        await say(world, 1, "START")
        assert FIRST_MSISDN + 1 not in gateway.pump._stops.held(7)
        assert FIRST_MSISDN + 1 not in gateway.pump._stops.held(SENDER)
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
        held = gateway.pump._stops.held(7) | gateway.pump._stops.held(SENDER)
        assert held == {FIRST_MSISDN + 2}


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


async def test_a_stop_by_another_process_holds_what_waits_here(database: Database) -> None:
    async with a_world(database, subscribers=300, rate_per_s=150) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits >= 1)
            async with database.bulk_transaction() as connection:
                now_ms = await connection.fetchval("SELECT (extract(epoch FROM now()) * 1000)::bigint")
                await connection.execute(
                    "INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, "
                    "event, state_after, source, occurred_at) VALUES (7, $1, 10290, $2, 'offers', 'stop', "
                    "'unsubscribed', 'api', now())",
                    (now_ms - 1_735_689_600_000) << 22,
                    FIRST_MSISDN + 290,
                )
            await eventually(lambda: bool(gateway.pump._stops.held(7)))
            assert world.log.submits < 250
            await eventually(lambda: world.finished(campaign_id))
        assert world.texts_to(290) == []


async def test_a_number_that_nobody_knows_is_kept_and_charged_to_nobody(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 77, "OK", answers=0)
        await say(world, 77, "STOP", answers=0)
        rows = await world.rows("SELECT merchant_id, outcome FROM inbound_message")
        assert [tuple(row) for row in rows] == [(0, "nobody"), (0, "nobody")]
        assert await world.value("SELECT count(*) FROM ledger_entry WHERE direction = 'mo'") == 0


async def test_a_long_text_is_one_message_once_all_its_parts_are_there(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        text = "Bonjour, " + "je voudrais bien savoir quelque chose " * 5 + "quand est-ce livré?"
        mo = world.answer(1, text)
        assert len(mo.bodies) == 2
        await eventually(lambda: mo.taken)
        rows = await world.rows("SELECT text FROM inbound_message")
        assert [row["text"] for row in rows] == [text]
        assert await world.value("SELECT count(*) FROM mo_part") == 0


async def test_a_long_text_may_begin_with_its_end(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        text = "x" * 160 + " fin"
        mo = world.simulator.smsc.send_mo(FIRST_MSISDN + 5, SENDER, "wegen nichts", "smsgate")
        await eventually(lambda: mo.taken)
        account = world.simulator.smsc._accounts[b"smsgate"]
        from smsgate.simulator.mobile_originated import Mo, MoPart

        long = Mo(FIRST_MSISDN + 1, SENDER.encode(), text, b"\0\1", 9)
        for body in reversed(long.bodies):
            account._mos.append(MoPart(long, body))
            account.pump()
            await eventually(lambda: not account._mos)
        await eventually(lambda: long.taken)
        assert (
            await world.value("SELECT text FROM inbound_message WHERE msisdn = $1", FIRST_MSISDN + 1) == text
        )


async def test_strange_octets_are_kept_and_answered_like_any_text(database: Database) -> None:
    async with an_open_offer(database, subscribers=4) as (world, _):
        (told,) = await say(world, 1, "OK\x00😀")
        (receipt,) = await say(world, 2, "OK 👍")
        assert "19,90€" in receipt
        texts = [
            row["text"] for row in await world.rows("SELECT text FROM inbound_message ORDER BY inbound_id")
        ]
        assert texts == ["OK�😀", "OK 👍"]
        assert told
        raw = await world.value("SELECT raw FROM inbound_message ORDER BY inbound_id LIMIT 1")
        assert raw == "OK\x00😀".encode("utf-16-be")


async def test_an_automatic_reply_is_not_answered(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "Réponse automatique: je suis absent jusqu'au 3 janvier. OK", answers=0)
        assert await outcomes(world) == {"ignored": 1}
        assert await order_numbers(world) == []


async def test_an_unclear_answer_is_asked_about_at_most_twice_a_day(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "peut-être un jour")
        await say(world, 1, "qui sait ma foi")
        await say(world, 1, "bof bof et rebof", answers=0)
        assert await outcomes(world) == {"asked": 3}
        assert len(world.texts_to(1)) == 3


async def test_an_mo_is_acknowledged_after_the_commit_and_not_before(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        async with world.locked("inbound_message"):
            mo = world.answer(1, "OK")
            await eventually(lambda: gateway.intake.busy)
            await asyncio.sleep(0.05)  # an absence has no condition to poll
            assert mo.statuses == []
        await eventually(lambda: mo.taken)
        assert len(await order_numbers(world)) == 1


async def test_while_the_database_is_away_the_carrier_keeps_the_mo(database: Database) -> None:
    async with an_open_offer(database, stock=5) as (world, gateway):
        async with world.locked("orders"):
            mo = world.answer(1, "OK")
            await eventually(lambda: gateway.intake.busy)
            await eventually(world.kill_bulk_connections)
            await eventually(lambda: not gateway.intake.busy)
        assert not mo.taken
        await eventually(lambda: mo.taken)  # the SMSC brings it again
        assert len(await order_numbers(world)) == 1
        assert await stock(world) == 4


async def test_a_decision_that_fails_costs_its_neighbours_nothing(database: Database) -> None:
    """A merchant whose timezone does not exist: its own texts cannot be made, those of others can."""
    async with an_open_offer(database, subscribers=9) as (world, gateway):
        await world.execute(
            "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, contact, "
            "price_list_id) VALUES (8, 'Kaputt', 'kaputt', 'FR', 'fr', 'Nowhere/At_All', 'EUR', '', 1)"
        )
        await world.execute("INSERT INTO offer (merchant_id, offer_id, version) VALUES (8, 88, 1); ")
        await world.execute(
            "INSERT INTO offer_version SELECT 8, 88, 1, text, shop_name, item, unit_price_minor, currency, "
            "quantity_max, language, country, sender, expires_at, created_at FROM offer_version"
        )
        await world.execute(
            "UPDATE open_offer SET merchant_id = 8, offer_id = 88 WHERE msisdn = $1", FIRST_MSISDN + 4
        )
        async with world.locked("mo_seen"):
            world.answer(0, "hm?")
            await eventually(lambda: gateway.intake.busy)
            mos = [world.answer(number, "OK") for number in range(1, 9)]
            await eventually(lambda: gateway.intake.backlog() == 8)
        good = [mo for number, mo in enumerate(mos, 1) if number != 4]
        await eventually(lambda: all(mo.taken for mo in good))
        assert not mos[3].taken
        assert len(await order_numbers(world)) == 7
        await world.execute("UPDATE merchant SET timezone = 'Europe/Paris' WHERE merchant_id = 8")
        await eventually(lambda: mos[3].taken)
        assert len(await order_numbers(world)) == 8


async def test_two_orders_that_come_to_one_number_get_two(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        from smsgate.flows.inbound_desk import order_number

        message_id = await world.value(
            "SELECT message_id FROM open_offer WHERE msisdn = $1", FIRST_MSISDN + 2
        )
        await world.execute("UPDATE orders SET number = $1", order_number(7, message_id, 1, 0))
        (receipt,) = await say(world, 2, "OK")
        taken, fresh = await order_numbers(world)
        assert taken != fresh
        assert fresh in receipt
