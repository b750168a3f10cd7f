"""A campaign for few of a merchant's people names them in its chunks; one for most has ranges."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smsgate.flows.audience import Audience
from smsgate.store.campaigns import write_chunks
from smsgate.store.pool import Database
from tests.flows.test_small_campaigns import claimed
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, a_world

PEOPLE = 20
TAGGED = "UPDATE subscriber SET tags = '{rock}' WHERE subscriber_id = ANY ($1)"


def ids(*people: int) -> list[int]:
    return [10_000 + number for number in people]


def numbers(*people: int) -> list[int]:
    return [FIRST_MSISDN + number for number in people]


async def started(world: World, audience: Audience) -> int:
    """Start a campaign as the API does."""
    campaign_id = await world.campaign(tags=["nobody"])
    await world.execute(
        "UPDATE campaign SET audience_tags = $2, audience_ids = $3 WHERE campaign_id = $1",
        campaign_id,
        None if audience.tags is None else list(audience.tags),
        None if audience.subscriber_ids is None else list(audience.subscriber_ids),
    )
    async with world.database.bulk_transaction() as connection:
        await write_chunks(connection, MERCHANT, campaign_id, audience)
    return campaign_id


async def named(world: World, campaign_id: int) -> list[list[int] | None]:
    async with world.database.bulk() as connection:
        rows = await connection.fetch(
            "SELECT subscriber_ids FROM campaign_chunk WHERE campaign_id = $1 ORDER BY no", campaign_id
        )
    return [row["subscriber_ids"] for row in rows]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20])
async def test_a_chunk_names_its_people_where_fewer_than_half_are_meant(
    database: Database, count: int
) -> None:
    async with a_world(database, subscribers=PEOPLE) as world:
        await world.execute(TAGGED, ids(*range(count)))
        campaign = await started(world, Audience(("rock",)))
        assert await named(world, campaign) == [ids(*range(count)) if count < PEOPLE / 2 else None]
        (claim,) = await claimed(world, [campaign])
        assert claim.msisdns == numbers(*range(count))


async def test_who_is_named_and_no_longer_meant_gets_nothing_and_who_is_meant_since_is_not_named(
    database: Database,
) -> None:
    async with a_world(database, subscribers=PEOPLE) as world:
        await world.execute(TAGGED, ids(0, 2, 4, 6, 8, 10))
        campaign = await started(world, Audience(("rock",)))
        later = timedelta(seconds=1) + world.clock.now()
        await world.execute(
            "UPDATE subscriber SET offers_state = 'unsubscribed' WHERE msisdn = ANY ($1)", numbers(0)
        )
        await world.execute("UPDATE subscriber SET tags = '{jazz}' WHERE msisdn = ANY ($1)", numbers(2))
        await world.execute("DELETE FROM subscriber WHERE msisdn = ANY ($1)", numbers(4))
        await world.execute(
            "UPDATE subscriber SET offers_state_at = $2 WHERE msisdn = ANY ($1)", numbers(6), later
        )
        await world.execute(TAGGED, ids(1, 3, 5))
        await world.execute(
            "INSERT INTO sender_stop (merchant_id, sender, msisdn, stopped_at) VALUES ($1, $2, $3, now())",
            *(MERCHANT, SENDER, *numbers(8)),
        )
        (claim,) = await claimed(world, [campaign])
        assert claim.msisdns == numbers(10)
        assert await claimed(world, [campaign]) == []


async def test_a_long_list_of_people_is_named_by_its_chunks(database: Database) -> None:
    """Its claims need not look through the whole list for each person."""
    async with a_world(database, subscribers=4 * PEOPLE) as world:
        some = ids(*range(3, 4 * PEOPLE, 3))
        campaign = await started(world, Audience(None, (*some, *range(1, 3_001))))
        assert await named(world, campaign) == [some]
        (claim,) = await claimed(world, [campaign])
        assert claim.msisdns == numbers(*range(3, 4 * PEOPLE, 3))
