"""A campaign that people stop, or that does not arrive, pauses itself and says why."""

from __future__ import annotations

import json

import pytest

from smsgate.daemon import gateway as daemon
from smsgate.store.pool import Database
from tests.flows.world import World, a_world, eventually


async def state_of(world: World, campaign_id: int) -> tuple[str, str | None]:
    row = (await world.rows("SELECT state, paused_reason FROM campaign WHERE campaign_id = $1", campaign_id))[
        0
    ]
    return row["state"], row["paused_reason"]


async def events_of(world: World) -> list[dict[str, object]]:
    rows = await world.rows("SELECT data::text FROM event WHERE type = 'campaign.paused'")
    return [json.loads(row["data"]) for row in rows]


async def test_stops_beyond_the_limit_pause_it_once_whoever_looks_and_the_rest_is_not_sent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "GUARD_INTERVAL_S", 0.02)
    async with a_world(database, subscribers=1_000, rate_per_s=100) as world:
        campaign_id = await world.campaign(chunk=100, guarded=True)
        await world.execute("UPDATE campaign SET recipients = 1000, guard_stop_share = 100")
        async with world.gateway(), world.gateway():
            await eventually(lambda: len(world.log.by_destination) > 30)
            reached = [n for n in range(1_000) if world.texts_to(n)]
            for number in reached[:10]:
                world.answer(number, "STOP")
            await eventually(lambda: world.value("SELECT n = 10 FROM campaign_counter WHERE kind = 'stops'"))
            assert await state_of(world, campaign_id) == ("sending", None)  # one per cent is not beyond it
            world.answer(reached[10], "STOP")

            async def paused() -> bool:
                return await state_of(world, campaign_id) == ("paused", "stop_rate")

            await eventually(paused)
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state = 'claimed'")
            )
            assert len(world.log.by_destination) < 1_000
            (event,) = await events_of(world)
        assert (event["reason"], event["stops"], event["limit_percent"]) == ("stop_rate", 11, 1.0)


async def test_refusals_beyond_the_limit_pause_it_and_an_unguarded_one_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "GUARD_INTERVAL_S", 0.02)
    async with a_world(
        database, subscribers=400, rate_per_s=200, refuse_share=1.0, refuse_status=0x0B
    ) as world:
        campaign_id = await world.campaign(chunk=50, guarded=True)
        await world.execute("UPDATE campaign SET recipients = 400")
        async with world.gateway():

            async def paused() -> bool:
                return await state_of(world, campaign_id) == ("paused", "failure_rate")

            await eventually(paused)
            refused = world.log.submits
            assert 80 < refused < 400
            await world.execute(
                "UPDATE campaign SET state = 'sending', paused_reason = NULL, guard_off = true"
            )
            await eventually(lambda: world.finished(campaign_id))
        assert (await world.counters(campaign_id))["refused"] == world.log.submits == 400
        assert len(await events_of(world)) == 1
