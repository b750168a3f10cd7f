"""A reply that may be a STOP holds marketing until somebody has decided, or its time is over."""

from __future__ import annotations

from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, say
from tests.flows.world import FIRST_MSISDN, MERCHANT, World, a_world, eventually

UNCLEAR = "euh bof"


async def held(world: World) -> list[tuple[str, int]]:
    rows = await world.rows(
        "SELECT hold, sum(message_count)::int AS n FROM campaign_chunk WHERE hold IS NOT NULL GROUP BY 1"
    )
    return [(row["hold"], row["n"]) for row in rows]


async def test_an_unclear_reply_holds_the_next_offer_until_the_person_is_plain(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await say(world, 0, UNCLEAR)
        # What is in memory does not leave either.
        assert FIRST_MSISDN in gateway.pump.look.stops.held(MERCHANT)
        await world.execute("UPDATE open_offer SET expires_at = now() - interval '1 day'")
        before = world.simulator.phones.received
        await world.campaign()
        gateway.pump.wake_claims.set()
        await eventually(lambda: world.simulator.phones.received == before + 2)
        await eventually(lambda: held(world))
        assert await held(world) == [("unclear_reply", 1)]
        await say(world, 0, "NON", answers=0)
        await world.execute("UPDATE campaign_chunk SET not_before = now()")  # its next look
        gateway.pump.wake_claims.set()
        await eventually(lambda: world.simulator.phones.received == before + 3)


async def test_a_doubt_ends_by_itself(database: Database) -> None:
    async with a_world(database, subscribers=2) as world:
        await world.execute("UPDATE subscriber SET doubt_until = now() - interval '1 s'")
        async with world.gateway():
            campaign_id = await world.campaign()
            await eventually(lambda: world.finished(campaign_id))
        assert len(world.texts_to(0)) == 1
