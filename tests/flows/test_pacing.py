"""
A campaign's pace, by what the SMSC saw: an upper bound at every look, and everybody in the end.

A busy machine can only make the sending slower, so no assertion here depends on how busy it is.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from smsgate.flows import claim_turns
from smsgate.flows.offers import LIFE_MIN
from smsgate.store.pool import Database
from tests.flows.test_recovery import books
from tests.flows.world import FIRST_MSISDN, World, a_world, eventually

PER_MINUTE = 1_200
PER_S = PER_MINUTE // 60
BURST = 2 * PER_S  # smsgate.campaigns.pacing: less than two seconds' worth more


async def pace(world: World, campaign_id: int, per_minute: int | None) -> None:
    await world.execute(
        "UPDATE campaign SET messages_per_minute = $2 WHERE campaign_id = $1", campaign_id, per_minute
    )


async def a_paced_campaign(world: World, per_minute: int, chunk: int = 30, **campaign: Any) -> int:
    campaign_id = await world.campaign(chunk=chunk, state="paused", **campaign)
    await pace(world, campaign_id, per_minute)
    await world.set_state(campaign_id, "sending")
    return campaign_id


async def never_faster(world: World, began: float, until_submits: int) -> None:
    """Look again and again until so many were submitted; at no look was the pace exceeded."""
    while world.log.submits < until_submits:
        submits, elapsed = world.log.submits, time.monotonic() - began
        assert submits <= elapsed * PER_S + BURST
        assert elapsed < 60
        await asyncio.sleep(0.02)


async def test_several_gateways_keep_one_pace_and_everybody_gets_the_offer_once(database: Database) -> None:
    async with a_world(database, subscribers=120) as world:
        began = time.monotonic()
        campaign_id = await a_paced_campaign(world, PER_MINUTE)
        async with AsyncExitStack() as gateways:
            for _ in range(3):
                await gateways.enter_async_context(world.gateway())
            await never_faster(world, began, 120)
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 120}
        assert (await books(world, campaign_id))["accepted"] == 120


async def test_campaigns_that_wait_for_their_pace_keep_no_other_out_of_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay for an hour: eight that fill it were all that was claimed."""
    monkeypatch.setattr(claim_turns, "HELD_MAX", 200)
    monkeypatch.setattr(claim_turns, "FIRST_HELD_MAX", 400)
    async with a_world(database, subscribers=1_000) as world:
        await world.execute("UPDATE subscriber SET tags = ARRAY['t' || (msisdn - $1) / 100]", FIRST_MSISDN)
        for number in range(8):
            await a_paced_campaign(world, 1, chunk=50, tags=[f"t{number}"])
        await world.another_merchant(8, 50)
        await world.another_merchant(9, 50)
        async with world.gateway():
            full = "SELECT count(*) >= 6 FROM campaign_chunk WHERE state = 'claimed'"
            await eventually(lambda: world.value(full))
            own = await world.campaign(tags=["t8"], chunk=50)
            await eventually(lambda: world.finished(own))
            theirs = await world.campaign(merchant=8)
            await eventually(lambda: world.finished(theirs))
            paced = await a_paced_campaign(world, 1_200, merchant=9)
            await eventually(lambda: world.finished(paced))


async def test_of_a_campaign_whose_pace_takes_a_minute_for_a_chunk_one_is_in_memory(
    database: Database,
) -> None:
    async with a_world(database, subscribers=90) as world:
        campaign_id = await a_paced_campaign(world, 60)
        async with world.gateway():
            await eventually(lambda: world.submitted(1))
            owned = "SELECT count(*) FROM campaign_chunk WHERE owner IS NOT NULL"
            for _ in range(20):
                await asyncio.sleep(0.02)
                assert await world.value(owned) == 1
            await pace(world, campaign_id, None)
            await eventually(lambda: world.finished(campaign_id))


async def test_a_gateway_that_is_killed_again_and_again_never_bursts(database: Database) -> None:
    async with a_world(database, subscribers=100) as world:
        began = time.monotonic()
        campaign_id = await a_paced_campaign(world, PER_MINUTE)
        kills = 0
        while world.log.submits < 50:
            kills += 1
            async with world.killed_gateway():
                await never_faster(world, began, world.log.submits + 10)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        counters = await books(world, campaign_id)
        assert Counter(world.log.by_destination.values()) == {1: world.log.submits}
        # What was allowed and not written when it was killed: a grant each time, not an allowance step.
        assert counters["unknown"] <= kills * PER_S
        assert counters["accepted"] + counters["unknown"] == 100


async def test_a_pace_that_is_taken_away_lets_the_rest_go_at_once_and_one_that_is_given_holds_it(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=200) as world:
        campaign_id = await a_paced_campaign(world, 1)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits == 1)
            await pace(world, campaign_id, None)
            await eventually(lambda: world.log.submits > 20)
            await pace(world, campaign_id, 1)

            def is_held() -> bool:
                """Return whether what is in memory has written all it may."""
                chunks = [b.chunk for b in gateway.pump.batches() if b.chunk is not None]
                return bool(chunks) and all(
                    chunk.limit is not None and chunk.reached() >= chunk.limit for chunk in chunks
                )

            await eventually(lambda: is_held() and not gateway.switchboard.in_flight())
            # What a claim that was under way when the pace came allowed, two chunks of it, and one grant.
            held = world.log.submits + 2 * 30 + 1
            assert held < 300
            await asyncio.sleep(
                0.5
            )  # an absence has no condition to poll; 100 messages at the carrier's rate
            assert world.log.submits <= held
            await pace(world, campaign_id, None)
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 300}


async def test_entries_that_are_not_sent_take_nothing_of_the_pace(database: Database) -> None:
    async with a_world(database, subscribers=200) as world:
        first = await world.campaign(tags=["had"])
        await world.execute("UPDATE subscriber SET tags = ARRAY['had'] WHERE subscriber_id < 10150")
        async with world.gateway():
            await eventually(lambda: world.finished(first))
            assert world.log.submits == 0  # nobody had the tag when it started
            second = await world.campaign(tags=["had"])
            await eventually(lambda: world.finished(second))
            assert world.log.submits == 150
            # 150 have an open offer: the first grant reaches the others, whose turn would come much later.
            third = await a_paced_campaign(
                world, PER_MINUTE, chunk=200, expires_in=LIFE_MIN + timedelta(minutes=5)
            )
            await eventually(lambda: world.log.submits >= 150 + PER_S, timeout_s=5.0)
            await eventually(lambda: world.finished(third))
        assert world.log.submits == 200
