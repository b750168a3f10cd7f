"""Offers that are withdrawn or get a new version while they are sent, and what answers to them come to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.campaigns.offer_states import Drop
from smsgate.daemon.gateway import Gateway
from smsgate.flows.stops import ENDED_MAX, KEEP_S, RecentStops
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, outcomes, say, stock
from tests.flows.test_order_proof import proof_of
from tests.flows.test_sending import reasons
from tests.flows.world import MERCHANT, OFFER_TEXT, World, a_world, changes_of, eventually

CHEAPER = OFFER_TEXT.replace("19,90€", "14,90€")
TAKEN_BACK = "Boxman: l'offre CD Madonna est retirée. Rien n'a été commandé."


async def the_offer(world: World) -> int:
    found: int = await world.value("SELECT max(offer_id) FROM offer")
    return found


async def given_back(world: World, gateway: Gateway) -> bool:
    """Return whether every chunk that was claimed is back, with nothing on its way to the carrier."""
    claimed: int = await world.value("SELECT count(*) FROM campaign_chunk WHERE state = 'claimed'")
    return not claimed and not gateway.pump.batches() and gateway.switchboard.in_flight() == 0


async def proved_offers(world: World) -> list[tuple[object, ...]]:
    """Return version, text and price of the offers in the proof file of the only order."""
    entries = await proof_of(world, await world.value("SELECT order_id FROM orders"))
    bodies = [entry["body"] for entry in entries if entry.get("kind") == "offer"]
    return [(body["version"], body["text"], body["price"]) for body in bodies]


@pytest.mark.parametrize("wish", ["withdraw", "publish"])
async def test_what_is_queued_never_leaves_once_the_merchant_has_its_answer(
    database: Database, wish: str
) -> None:
    """In memory at the last step, in chunks that nobody claimed, and on its way to memory."""
    async with a_world(database, subscribers=600, rate_per_s=100) as world:
        campaign_id = await world.campaign(chunk=200)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 20)
            changes = changes_of(world, gateway.pump.look.stops)
            if wish == "withdraw":
                after = await changes.withdraw(MERCHANT, await the_offer(world))
            else:
                after = await changes.publish(
                    MERCHANT, await the_offer(world), {"text": CHEAPER, "unit_price_minor": 1490}
                )
            written = gateway.pump.submitted
            await asyncio.sleep(0.2)  # an absence has no condition to poll
            assert gateway.pump.submitted == written < 600
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
            await eventually(lambda: not gateway.pump.batches())
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits == written
        reason = "withdrawn" if wish == "withdraw" else "superseded"
        assert await reasons(world) == {reason: counters["not_sent"]}
        assert await world.value("SELECT count(*) FROM open_offer") == written
        assert (after.withdrawn, after.offer.version) == ((wish == "withdraw"), 1 + (wish == "publish"))


async def test_a_process_that_heard_nothing_of_the_end_finds_it_in_the_database(database: Database) -> None:
    async with a_world(database, subscribers=300, rate_per_s=100) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 20)
            await changes_of(world, RecentStops()).withdraw(MERCHANT, await the_offer(world))
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
            await eventually(lambda: not gateway.pump.batches())
        counters = await world.counters(campaign_id)
        assert await reasons(world) == {"withdrawn": counters["not_sent"]}
        assert counters["accepted"] == world.log.submits < 300


async def test_what_waits_for_a_lost_shop_and_is_withdrawn_stays_away_when_the_shop_is_back(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=100) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 20)
            await world.execute("UPDATE merchant SET shop_lost_at = now() WHERE merchant_id = $1", MERCHANT)
            await eventually(lambda: given_back(world, gateway))
            written = world.log.submits
            await changes_of(world, gateway.pump.look.stops).withdraw(MERCHANT, await the_offer(world))
            await world.execute("UPDATE merchant SET shop_lost_at = NULL")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits == written < 300
        assert await reasons(world) == {"withdrawn": counters["not_sent"]}


async def test_an_ok_orders_no_offer_that_waits_to_be_sent(database: Database) -> None:
    """Found by a try: a claimed offer had its place, and the OK to an older text ordered it unseen."""
    async with a_world(database, subscribers=3) as world:
        await world.campaign()
        await world.execute("UPDATE campaign SET messages_per_minute = 1")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 3 FROM open_offer"))
            await eventually(lambda: world.log.submits == 1)
            (got,) = [number for number in range(3) if world.texts_to(number)]
            mo = world.answer((got + 1) % 3, "OK")
            await eventually(lambda: mo.taken)
            assert await world.value("SELECT count(*) FROM orders") == 0
            await say(world, got, "OK")
            assert await world.value("SELECT count(*) FROM orders") == 1


async def test_what_is_sold_out_is_sent_to_nobody_else_until_there_is_more(database: Database) -> None:
    async with a_world(database, subscribers=300, rate_per_s=100) as world:
        campaign_id = await world.campaign(chunk=100, stock=1)
        async with world.gateway() as gateway:
            changes = changes_of(world, gateway.pump.look.stops)
            await eventually(lambda: world.texts_to(0))
            await say(world, 0, "OK")
            await eventually(lambda: given_back(world, gateway))
            written = world.log.submits
            await asyncio.sleep(0.2)  # an absence has no condition to poll
            assert world.log.submits == written < 300
            assert await world.value("SELECT state FROM campaign") == "sending"
            await changes.set_stock(MERCHANT, await the_offer(world), 5)
            await eventually(lambda: world.finished(campaign_id))
        counters = await world.counters(campaign_id)
        assert (counters["accepted"], counters.get("not_sent")) == (300, None)
        assert set(world.log.by_destination.values()) <= {1, 2}  # and the receipt of the order


async def test_answers_to_a_withdrawn_offer_order_nothing_and_the_next_offer_need_not_wait(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=10) as (world, gateway):
        (receipt,) = await say(world, 0, "OK")
        await changes_of(world, gateway.pump.look.stops).withdraw(MERCHANT, await the_offer(world))
        for text in ("OK", "OK 2", "oui merci"):
            assert await say(world, 1, text) == [TAKEN_BACK]
        assert await outcomes(world) == {"ordered": 1, "closed": 3}
        assert await stock(world) == 9
        assert "retirée" not in receipt  # and the order that was placed stands
        assert await world.value("SELECT state FROM orders") == "placed"
        assert len(await events(world, "offer.withdrawn")) == 1
        # Who was told may get the next one; who was not still has the old text, so a plain OK must mean it.
        next_ = await world.campaign(text=OFFER_TEXT.replace("Madonna", "Miles"))
        await eventually(
            lambda: world.value("SELECT count(*) = 2 FROM open_offer WHERE campaign_id = $1", next_)
        )
        assert await say(world, 2, "OK") == [TAKEN_BACK]


async def test_an_ok_to_version_1_is_an_order_on_its_terms_whatever_was_published_since(
    database: Database,
) -> None:
    async with an_open_offer(database, stock=10, quantity_max=3) as (world, gateway):
        changes, offer = changes_of(world, gateway.pump.look.stops), await the_offer(world)
        ends = datetime.now(UTC) + timedelta(minutes=40)
        wishes = {"text": CHEAPER, "unit_price_minor": 1490, "quantity_max": 1, "expires_at": ends}
        await changes.publish(MERCHANT, offer, wishes)
        (receipt,) = await say(world, 0, "OK 2")
        assert "39,80€" in receipt
        order = (await world.rows("SELECT offer_version, unit_price_minor, total_minor FROM orders"))[0]
        assert tuple(order) == (1, 1990, 3980)
        assert await proved_offers(world) == [(1, OFFER_TEXT, "19.90")]
        assert await stock(world) == 8  # of all versions together


async def test_a_person_has_one_open_version_on_a_number_and_the_next_one_waits(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        changes, offer = changes_of(world, gateway.pump.look.stops), await the_offer(world)
        await say(world, 0, "NON", answers=0)  # whose place is free
        await changes.publish(MERCHANT, offer, {"text": CHEAPER, "unit_price_minor": 1490})
        second = await world.send_newest(MERCHANT, offer)
        await eventually(lambda: len(world.texts_to(0)) == 2)
        rows = await world.rows(
            "SELECT offer_version, campaign_id = $1 AS new FROM open_offer ORDER BY msisdn", second
        )
        assert [tuple(row) for row in rows] == [(2, True), (1, False), (1, False)]
        assert "14,90€" in (await say(world, 0, "OK"))[0]
        assert "19,90€" in (await say(world, 1, "OK"))[0]
        rows = await world.rows("SELECT offer_version, unit_price_minor FROM orders ORDER BY msisdn")
        assert [tuple(row) for row in rows] == [(2, 1490), (1, 1990)]
        assert len(world.texts_to(2)) == 1


def test_campaigns_that_ended_are_remembered_as_long_as_a_claim_lives_and_never_without_bound() -> None:
    stops = RecentStops()
    stops.end(7, 1, Drop.WITHDRAWN, 0.0)
    stops.end(7, 2, Drop.SUPERSEDED, KEEP_S / 2)
    assert (stops.ended(7, 1), stops.ended(8, 1)) == (Drop.WITHDRAWN, None)
    stops.end(7, 3, Drop.CANCELLED, KEEP_S)
    assert (stops.ended(7, 1), stops.ended(7, 2)) == (None, Drop.SUPERSEDED)
    assert stops.overflowed == 0
    for n in range(ENDED_MAX):
        stops.end(9, n, Drop.CANCELLED, KEEP_S)
    assert stops.ended(7, 2) is None
    assert stops.overflowed == 2  # whatever was read before is read anew
