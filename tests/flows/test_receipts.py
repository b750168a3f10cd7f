"""Receipts: acknowledged after the commit, matched whenever and however they come, counted once."""

from __future__ import annotations

import asyncio
from functools import partial

from smsgate.simulator.submits import Submits, receipt_bodies
from smsgate.store.pool import Database
from tests.flows.world import OTHER_SENDER, World, a_simulator, a_world, eventually

DATE = b"2611231200"


async def receipt_states(world: World) -> dict[int, int]:
    rows = await world.rows("SELECT state, count(*) AS n FROM receipt GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


def send_receipts(world: World, smsc_ids: list[int], state: int) -> None:
    """Have the SMSC deliver a receipt of this state for messages that it took."""
    submits = Submits()
    count = len(smsc_ids)
    submits.numbers = [0] * count
    submits.source_kinds = submits.destination_kinds = [b"\1\1"] * count
    submits.sources = [b"36111"] * count
    submits.destinations = [b"33612000000"] * count
    submits.esm_classes = submits.data_codings = [0] * count
    submits.registered = [1] * count
    submits.texts = [b""] * count
    submits.statuses = [0] * count
    submits.message_ids = smsc_ids
    account = world.simulator.smsc._accounts[b"smsgate"]
    bodies = receipt_bodies(submits, [2] * count, "%d", DATE, DATE)
    # The TLV at the end says what counts: message_state, one octet.
    account.put_receipts([body[:-1] + bytes((state,)) for body in bodies])


async def smsc_ids(world: World) -> list[int]:
    rows = await world.rows("SELECT smsc_id FROM sent WHERE status = 0 ORDER BY message_id")
    return [int(row["smsc_id"]) for row in rows]


async def test_intermediate_then_final_then_final_again_is_one_delivery(database: Database) -> None:
    async with a_world(database, subscribers=20, receipts=False) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            ids = await smsc_ids(world)
            send_receipts(world, ids, 1)
            await eventually(lambda: world.log.receipts_acknowledged == 20)
            assert "delivered" not in await world.counters(campaign_id)
            send_receipts(world, ids, 2)
            await eventually(lambda: world.log.receipts_acknowledged == 40)
            send_receipts(world, ids, 2)
            await eventually(lambda: world.log.receipts_acknowledged == 60)
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM receipt_unmatched"))
        assert (await world.counters(campaign_id))["delivered"] == 20
        assert await receipt_states(world) == {1: 20, 2: 40}


async def test_receipts_after_a_restart_find_their_messages(database: Database) -> None:
    async with a_world(database, subscribers=50, receipts=False) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        ids = await smsc_ids(world)
        async with world.gateway():
            send_receipts(world, [*ids[:25], *ids[:25]], 2)
            send_receipts(world, ids[25:], 5)
            send_receipts(world, [999], 2)
            await eventually(lambda: world.log.receipts_acknowledged == 76)
            await eventually(lambda: world.value("SELECT count(*) = 1 FROM receipt_unmatched"))
        counters = await world.counters(campaign_id)
        assert (counters["delivered"], counters["failed"]) == (25, 25)
        assert await receipt_states(world) == {2: 50, 5: 25}


async def test_receipts_before_their_response_find_their_messages(database: Database) -> None:
    async with a_world(database, subscribers=10, receipts=False, first_message_id=500) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: bool(world.simulator.smsc._accounts[b"smsgate"].connections))
            world.simulator.smsc.settings.response_latency_s = 0.2
            await eventually(lambda: world.log.submits == 10)
            send_receipts(world, list(range(500, 510)), 2)
            await eventually(lambda: world.log.receipts_acknowledged == 10)
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM receipt_unmatched"))
        assert (await world.counters(campaign_id))["delivered"] == 10


async def test_two_carriers_may_give_the_same_message_ids(database: Database) -> None:
    async with (
        a_world(database, subscribers=40, first_message_id=1, receipts=False) as world,
        a_simulator(first_message_id=1, undelivered_share=1.0) as world.other,
    ):
        await world.execute(
            "UPDATE subscriber SET tags = ARRAY[CASE WHEN subscriber_id < 10020 THEN 'a' ELSE 'b' END]"
        )
        first = await world.campaign(tags=["a"])
        second = await world.campaign(tags=["b"], sender=OTHER_SENDER)
        async with world.gateway():
            for campaign_id in (first, second):
                await eventually(partial(world.finished, campaign_id))
            send_receipts(world, list(range(1, 21)), 2)
            await eventually(lambda: world.value("SELECT count(*) = 40 FROM receipt"))
        assert (await world.counters(first)) == {"recipients": 20, "accepted": 20, "delivered": 20}
        assert (await world.counters(second)) == {"recipients": 20, "accepted": 20, "failed": 20}


async def test_receipts_are_acknowledged_after_the_commit_and_not_before(database: Database) -> None:
    async with a_world(database, subscribers=30, receipts=False) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            ids = await smsc_ids(world)
            async with world.locked("receipt"):
                send_receipts(world, ids, 2)
                await eventually(lambda: gateway.flushing.busy)
                await asyncio.sleep(0.05)  # an absence has no condition to poll
                assert world.log.receipts_acknowledged == 0
            await eventually(lambda: world.log.receipts_acknowledged == 30)
        assert await receipt_states(world) == {2: 30}
