"""Texts in parts, odd octets, a database that goes away, a decision that raises: no answer is lost."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from structlog.testing import capture_logs

from smsgate.campaigns.replies import read_reply
from smsgate.flows.order_texts import free_number, order_number
from smsgate.flows.records import MobileOriginated
from smsgate.simulator.mobile_originated import Mo, MoPart
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, order_numbers, outcomes, say, stock
from tests.flows.world import FIRST_MSISDN, SENDER, eventually


async def test_a_number_that_nobody_knows_is_kept_and_charged_to_nobody(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 77, "OK", answers=0)
        await say(world, 77, "bof", answers=0)
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
        await world.execute("UPDATE subscriber SET merchant_id = 8 WHERE msisdn = $1", FIRST_MSISDN + 4)
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


async def test_who_was_erased_orders_nothing_from_an_offer_that_a_claim_left(database: Database) -> None:
    """The claim had read the person before and opened the offer after; the erasure takes it by and by."""
    async with an_open_offer(database, subscribers=3) as (world, _):
        await world.execute("DELETE FROM subscriber WHERE msisdn = $1", FIRST_MSISDN + 1)
        await say(world, 1, "OK", answers=0)
        await say(world, 2, "OK")
        assert len(await order_numbers(world)) == 1


async def test_a_sender_without_a_number_changes_no_order_of_who_was_erased(database: Database) -> None:
    """Both have the number 0 here; another text of the group is of a subscriber of that merchant."""
    async with an_open_offer(database, subscribers=3) as (world, gateway):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        await world.execute("UPDATE orders SET msisdn = 0")  # as the erasure leaves it
        now = datetime.now(UTC)
        for source, msisdn, text in (
            (str(FIRST_MSISDN + 2), FIRST_MSISDN + 2, "bonjour"),
            ("EVIL", 0, f"NON {number}"),
        ):
            gateway.intake.put(MobileOriginated(1, msisdn, source, SENDER, text, text.encode(), 0, now))
        await eventually(lambda: world.value("SELECT count(*) = 3 FROM inbound_message"))
        assert await world.value("SELECT state FROM orders") == "placed"


async def test_a_large_group_lets_everybody_else_work_in_between(database: Database) -> None:
    """Two hundred readings in a row would hold every window and timer of the process for their time."""
    people, text = 201, "peut-être bien un autre jour, je ne sais pas trop"
    spent: list[float] = []

    async def take_turns() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            spent.append(now - last)
            last = now

    async with an_open_offer(database, subscribers=people) as (world, gateway):
        async with world.locked("mo_seen"):
            world.answer(0, "hm?")
            await eventually(lambda: gateway.intake.busy)
            mos = [world.answer(number, text) for number in range(1, people)]
            await eventually(lambda: gateway.intake.backlog() == people - 1)
        turns = asyncio.create_task(take_turns())
        await eventually(lambda: all(mo.taken for mo in mos))
        turns.cancel()
    began = time.thread_time()
    for _ in mos:
        read_reply(text, "fr", names=("Boxman", "CD Madonna"))
    # In a row they hold the loop for two to three times this: decisions are in the turn, too.
    assert max(spent) < time.thread_time() - began


async def test_two_orders_that_come_to_one_number_get_two(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        message_id = await world.value(
            "SELECT message_id FROM open_offer WHERE msisdn = $1", FIRST_MSISDN + 2
        )
        await world.execute("UPDATE orders SET number = $1", order_number(7, message_id, 1, 0))
        with capture_logs() as lines:
            (receipt,) = await say(world, 2, "OK")
        taken, fresh = await order_numbers(world)
        assert taken != fresh
        assert fresh in receipt
        # Seen before anything is written: beside a million orders every second group would be done twice.
        assert "inbound_failed" not in {line["event"] for line in lines}


def test_two_answers_of_one_group_never_get_one_number() -> None:
    first = order_number(7, 1, 1, 0)
    taken = {(7, first), (8, order_number(7, 1, 1, 1))}
    given = [free_number(taken, 7, 1, 1, 0) for _ in range(3)]
    assert given == [order_number(7, 1, 1, attempt) for attempt in (1, 2, 3)]
    assert {(7, number) for number in given} < taken


async def test_a_receipt_forged_in_an_mo_is_an_mo_and_settles_nothing(database: Database) -> None:
    """Its id is that of a message that is on its way; nothing but the text says that it is a receipt."""
    async with an_open_offer(database, subscribers=1) as (world, gateway):
        before = await world.value("SELECT count(*) FROM receipt")
        smsc_id = await world.value("SELECT smsc_id FROM sent")
        forged = (
            f"id:{smsc_id.decode()} sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 "
            "stat:UNDELIV err:001 text:"
        )
        mo = world.answer(0, forged)
        await eventually(lambda: mo.taken)
        rows = await world.rows("SELECT text FROM inbound_message")
        assert [row["text"] for row in rows] == [forged]
        assert await world.value("SELECT count(*) FROM receipt") == before
        assert await world.value("SELECT count(*) FROM receipt_unmatched") == 0
        assert "failed" not in await world.counters(1_001)
        assert gateway.switchboard.by_id(1).counts.delivered == 1


async def test_the_same_mo_on_both_binds_is_one_event(database: Database) -> None:
    async with an_open_offer(database, subscribers=1) as (world, gateway):
        world.answer(0, "Bonjour, quand arrive mon CD?")
        await eventually(lambda: gateway.intake.taken == 1)
        await world.simulator.smsc.unbind_all()
        await eventually(lambda: world.log.binds == 2)
        again = world.answer(0, "Bonjour, quand arrive mon CD?")
        await eventually(lambda: again.taken)
        assert len(await events(world, "inbound.received")) == 1
        assert await world.value("SELECT count(*) FROM inbound_message WHERE outcome <> 'repetition'") == 1
        assert gateway.intake.repeated == 1
