"""What a claim may write counts as in doubt from its question on, in every turn of the loop."""

from __future__ import annotations

import asyncio

from smsgate.flows.allowances import unwritten
from smsgate.store.pool import Database
from tests.flows.world import a_world, eventually


async def test_what_a_claim_may_write_is_counted_until_it_is_written(database: Database) -> None:
    """For three turns it was in no book: a flush or another claim granted as much once more."""
    async with a_world(database, subscribers=5) as world, world.gateway() as gateway:
        pump, counts = gateway.pump, gateway.switchboard.by_id(1).counts
        in_doubt: list[int] = []

        async def look_in_each_turn() -> None:
            while not counts.submitted:
                promised = pump.allowances._promised
                in_doubt.append(promised + unwritten(pump.batches()) + pump.uncommitted)
                await asyncio.sleep(0)

        looking = asyncio.create_task(look_in_each_turn())
        campaign_id = await world.campaign()
        pump.wake_claims.set()
        await eventually(lambda: world.finished(campaign_id))
        await looking
    assert min([0, *in_doubt][-20:]) >= 5
