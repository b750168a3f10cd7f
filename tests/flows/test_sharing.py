"""Merchants and campaigns that share one carrier, by what its SMSC saw."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from smsgate.flows import claim_turns
from smsgate.store.pool import Database
from tests.flows.test_recovery import books
from tests.flows.world import FIRST_MSISDN, World, a_world, eventually

OTHER = 8


def by_merchant(world: World) -> Counter[str]:
    return Counter(
        "other" if msisdn >= FIRST_MSISDN + OTHER * 10_000_000 else "first"
        for msisdn in world.log.by_destination
    )


async def test_a_small_campaign_is_not_starved_by_another_merchants_large_ones(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2_000, rate_per_s=400, window_max=50) as world:
        await world.another_merchant(OTHER, 40)
        await world.execute(
            "UPDATE subscriber SET tags = ARRAY['t' || subscriber_id % 4] WHERE merchant_id <> $1", OTHER
        )
        large = [await world.campaign(chunk=250, tags=[f"t{n}"]) for n in range(4)]
        async with world.gateway():
            await eventually(lambda: world.log.submits > 400)
            small = await world.campaign(merchant=OTHER)
            before = by_merchant(world)["first"]
            await eventually(lambda: by_merchant(world)["other"] == 40)
            # Forty each, and what left until the small one's claim was seen: a second of the rate at most.
            assert by_merchant(world)["first"] - before <= 40 + 400
            for campaign_id in (small, *large):
                await eventually(partial(world.finished, campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        assert (await books(world, small))["accepted"] == 40


async def test_merchants_get_of_a_carrier_what_their_weights_say(database: Database) -> None:
    async with a_world(database, subscribers=2_000, rate_per_s=500, window_max=50) as world:
        await world.another_merchant(OTHER, 2_000, weight=3)
        await world.campaign(chunk=500, state="paused")
        await world.campaign(chunk=500, merchant=OTHER, state="paused")
        async with world.gateway():
            await world.execute("UPDATE campaign SET state = 'sending'")
            await eventually(lambda: world.log.submits >= 1_000)
            had = by_merchant(world)
        # One of the two may have been claimed some hundreds of messages' time before the other.
        assert 0.6 <= had["other"] / had.total() <= 0.85, had


async def test_memory_full_of_one_merchants_chunks_leaves_room_for_anothers_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_turns, "HELD_MAX", 200)
    monkeypatch.setattr(claim_turns, "FIRST_HELD_MAX", 400)
    async with a_world(database, subscribers=1_000, rate_per_s=20) as world:
        await world.another_merchant(OTHER, 10)
        await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: sum(b.size for b in gateway.pump.batches()) >= 200)
            await world.campaign(merchant=OTHER)
            await eventually(lambda: by_merchant(world)["other"] == 10)
            assert by_merchant(world)["first"] < 100  # its first chunks were not even half written
