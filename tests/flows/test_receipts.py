"""Receipts: acknowledged after the commit, matched whenever and however they come, counted once."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from smsgate.ids import first_id_at
from smsgate.protocol.message_ids import IdForm, ReceiptIds
from smsgate.simulator.submits import Submits, receipt_bodies
from smsgate.store.pool import Database
from smsgate.store.receipt_matching import resolve_unmatched
from tests.flows.world import FIRST_MSISDN, MERCHANT, OTHER_SENDER, World, a_simulator, a_world, eventually

NEXT_ID = itertools.count(1 << 40).__next__
DATE = b"2611231200"
AS_IS = ReceiptIds((IdForm.AS_IS,))


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
    bodies = receipt_bodies(submits, [2] * count, b"%d", DATE, DATE)
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
        assert await receipt_states(world) == {1: 20, 2: 20}


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
        assert await receipt_states(world) == {2: 25, 5: 25}


async def test_receipts_that_wait_for_a_carrier_taken_out_since_find_their_messages(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3, receipts=False) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        await world.execute("INSERT INTO carrier (carrier_id, name) VALUES (1, 'sim'), (9, 'gone')")
        await world.execute("UPDATE sent SET carrier_id = 9")
        await world.execute(
            "INSERT INTO receipt_unmatched (carrier_id, unmatched_id, smsc_id, state, error, received_at, "
            "next_try_at) SELECT 9, row_number() OVER (), smsc_id, 2, '', now(), now() FROM sent"
        )
        async with world.gateway() as gateway:
            await eventually(lambda: gateway.receipts_resolved == 3)
        assert (await world.counters(campaign_id))["delivered"] == 3


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


async def a_waiting_receipt(world: World, number: int, sent_at: datetime, received_at: datetime) -> None:
    """Write an accepted message and a receipt for it that nobody matched yet."""
    message_id = first_id_at(int(sent_at.timestamp() * 1000)) + number
    await world.execute(
        "INSERT INTO message (merchant_id, message_id, campaign_id, msisdn, kind, sender) "
        "VALUES ($1, $2, 1, $3, 'offer', '36111')",
        MERCHANT,
        message_id,
        FIRST_MSISDN + number,
    )
    await world.execute(
        "INSERT INTO sent VALUES ($1, $2, 1, 1, 0, 1, $3, 11, 45000, 21, 30000, NULL, $4)",
        MERCHANT,
        message_id,
        b"%d" % number,
        sent_at,
    )
    await world.execute(
        "INSERT INTO receipt_unmatched VALUES (1, $1, $2, 2, '', $3, $3)",
        number,
        b"%d" % number,
        received_at,
    )


async def test_two_processes_that_match_at_once_count_every_receipt_once(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        now = datetime.now(UTC)
        for number in range(20):
            await a_waiting_receipt(world, number, now, now)
        async with world.locked("receipt"):
            tasks = [
                asyncio.create_task(resolve_unmatched(database, NEXT_ID, 1, AS_IS, 100, now))
                for _ in range(2)
            ]

            async def both_got_as_far_as_they_can() -> bool:
                waiting = await world.value("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return bool(waiting + sum(task.done() for task in tasks) == 2)

            await eventually(both_got_as_far_as_they_can)
        assert sum(resolved.matched for resolved in await asyncio.gather(*tasks)) == 20
        assert await receipt_states(world) == {2: 20}
        assert await world.counters(1) == {"delivered": 20}


@pytest.mark.parametrize(
    ("sent_before", "found_after_s"),
    [
        (timedelta(seconds=30), 1),
        (timedelta(minutes=30), 7),
        (timedelta(hours=3), 31),
        (timedelta(hours=20), 61),
    ],
)
async def test_a_receipt_is_looked_for_the_further_back_the_longer_it_waits(
    database: Database, sent_before: timedelta, found_after_s: int
) -> None:
    async with a_world(database, subscribers=1) as world:
        now = datetime.now(UTC)
        await a_waiting_receipt(world, 1, now - sent_before, now)
        if found_after_s > 1:
            early = now + timedelta(seconds=found_after_s // 2 - 1)
            assert (await resolve_unmatched(database, NEXT_ID, 1, AS_IS, 100, early)).matched == 0
        late = now + timedelta(seconds=found_after_s)
        assert (await resolve_unmatched(database, NEXT_ID, 1, AS_IS, 100, late)).matched == 1
        assert await receipt_states(world) == {2: 1}


async def test_a_receipt_whose_id_no_database_takes_as_text_stops_no_other(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        now = datetime.now(UTC)
        await a_waiting_receipt(world, 1, now, now)
        for number, octets in enumerate((b"\0\0", b"a\0b", b"\\000", b"\xff\0", b"\x7f\x80"), 2):
            await world.execute(
                "INSERT INTO receipt_unmatched VALUES (1, $1, $2, 2, '', $3, $3)", number, octets, now
            )
        for ids in (AS_IS, ReceiptIds(tuple(IdForm))):
            resolved = await resolve_unmatched(database, NEXT_ID, 1, ids, 100, now)
            assert resolved.matched == (1 if ids is AS_IS else 0)
            now += timedelta(seconds=3)
        assert await receipt_states(world) == {2: 1}
