"""A reply that may be a STOP holds marketing until somebody has decided, or its time is over."""

from __future__ import annotations

from datetime import date

import pytest

from smsgate.campaigns.consent_commands import DatedReach, SmsRules, StopReach
from smsgate.links.profile_senders import SenderNumber
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, say
from tests.flows.test_consent_by_sms import OTHER, a_second_merchant
from tests.flows.world import FIRST_MSISDN, MERCHANT, OTHER_SENDER, SENDER, World, a_world, eventually

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


async def doubted(world: World) -> set[int]:
    rows = await world.rows("SELECT merchant_id FROM subscriber WHERE doubt_until IS NOT NULL")
    return {row["merchant_id"] for row in rows}


@pytest.mark.parametrize(
    ("reach", "held", "to", "left"),
    [
        (StopReach.NUMBER, {MERCHANT}, SENDER, set()),
        (StopReach.OFFER, {MERCHANT}, SENDER, set()),
        (StopReach.NUMBER, {MERCHANT}, OTHER_SENDER, {MERCHANT}),
        (StopReach.ALL, {MERCHANT, OTHER}, SENDER, {OTHER}),
        (StopReach.ALL, {MERCHANT, OTHER}, OTHER_SENDER, {MERCHANT}),
    ],
)
async def test_a_doubt_holds_whom_a_stop_would_reach_and_a_plain_word_ends_it_for_its_own_number(
    database: Database, reach: StopReach, held: set[int], to: str, left: set[int]
) -> None:
    """Disco Mania knows the person, has a number of its own, and never wrote from Boxman's."""
    async with a_world(database, subscribers=3) as world:
        await a_second_merchant(world)
        world.rules = SmsRules((DatedReach(date(2020, 1, 1), reach),))
        world.profile_changes["senders"] = (
            SenderNumber(number=SENDER, receives=True, merchants=("boxman",)),
            SenderNumber(number=OTHER_SENDER, receives=True, merchants=("disco",)),
        )
        async with world.gateway() as gateway:
            await world.campaign()
            gateway.pump.wake_claims.set()
            await eventually(lambda: world.simulator.phones.received == 3)
            await say(world, 1, UNCLEAR)
            assert await doubted(world) == held
            assert (FIRST_MSISDN + 1 in gateway.pump.look.stops.held(OTHER)) is (OTHER in held)
            await say(world, 1, "NON", answers=0, to=to)
            assert await doubted(world) == left


async def test_a_doubt_holds_who_wrote_from_the_number_before_it_was_anothers(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        await a_second_merchant(world)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        await world.execute("DELETE FROM open_offer")  # it ended long ago
        world.profile_changes["senders"] = (SenderNumber(number=SENDER, receives=True, merchants=("disco",)),)
        async with world.gateway():
            await say(world, 1, UNCLEAR)
            assert await doubted(world) == {MERCHANT, OTHER}
            await say(world, 1, "oui")
            assert await doubted(world) == set()


async def test_of_merchants_of_one_number_an_offers_doubt_is_its_own_where_a_stop_ends_no_others(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3) as world:
        await a_second_merchant(world)
        world.rules = SmsRules((DatedReach(date(2020, 1, 1), StopReach.OFFER),))
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await say(world, 1, UNCLEAR)
            assert await doubted(world) == {MERCHANT}
            await world.execute("UPDATE subscriber SET doubt_until = now() + interval '1 day'")
            await say(world, 1, "oui")
            rows = await world.rows("SELECT subscriber_id FROM subscriber WHERE doubt_until IS NULL")
            assert {row["subscriber_id"] for row in rows} == {10_001, 20_001}
