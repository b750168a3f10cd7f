"""Pause, resume and cancel reach a running campaign through the database alone."""

from __future__ import annotations

import asyncio

from smsgate.store.pool import Database
from tests.flows.test_sending import reasons
from tests.flows.world import a_world, eventually


async def test_pause_stops_within_a_second_and_resume_goes_on(database: Database) -> None:
    async with a_world(database, subscribers=400, rate_per_s=200) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 100)
            await world.set_state(campaign_id, "paused")
            before = world.log.submits

            def is_quiet() -> bool:
                return all(batch.paused for batch in gateway.pump._batches.values())

            await eventually(is_quiet, timeout_s=1.0)
            await eventually(lambda: gateway.switchboard.in_flight() == 0, timeout_s=1.0)
            paused_at = world.log.submits
            assert paused_at <= before + 200  # what the rate lets through in a second
            await asyncio.sleep(0.2)  # an absence has no condition to poll
            assert world.log.submits == paused_at < 400
            await world.set_state(campaign_id, "sending")
            await eventually(lambda: world.finished(campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        assert len(world.log.by_destination) == 400


async def test_a_cancelled_campaign_stops_and_leaves_no_open_chunk(database: Database) -> None:
    async with a_world(database, subscribers=1_000, rate_per_s=500) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway():
            await eventually(lambda: world.log.submits > 100)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits < 1_000
        # Chunks that nobody claimed have no messages: they were never chosen.
        assert counters["recipients"] == counters["accepted"] + counters["not_sent"] < 1_000
        assert await reasons(world) == {"cancelled": counters["not_sent"]}
        assert await world.value("SELECT count(*) FROM open_offer") == counters["accepted"]
        state = await world.value("SELECT state FROM campaign WHERE campaign_id = $1", campaign_id)
        assert state == "cancelled"


async def test_a_campaign_cancelled_while_nobody_runs_is_settled_by_the_next_start(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=200) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway():
            await eventually(lambda: world.log.submits > 50)
        await world.set_state(campaign_id, "cancelled")
        async with world.gateway():
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits < 300
        assert counters["recipients"] == counters["accepted"] + counters["not_sent"]
        assert await world.value("SELECT count(*) FROM open_offer") == counters["accepted"]


async def test_a_throttled_message_of_a_cancelled_campaign_is_not_tried_again(database: Database) -> None:
    async with a_world(
        database, subscribers=200, refuse_share=1.0, refuse_status=0x58, response_latency_s=0.1, window_max=10
    ) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits >= 10)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        assert await reasons(world) == {"cancelled": 200}


async def test_a_paused_campaign_can_be_cancelled(database: Database) -> None:
    async with a_world(database, subscribers=200, rate_per_s=100) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits > 20)
            await world.set_state(campaign_id, "paused")
            await asyncio.sleep(0.05)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] + counters["not_sent"] == 200
