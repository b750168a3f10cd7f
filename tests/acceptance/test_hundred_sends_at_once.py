"""
A hundred sends at once to the same people: each has one open offer, which is what a plain OK answers.

What found no place waits, and says why.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.acceptance.town import Ground, a_town, eventually

SENDS = 100
PEOPLE = 5
ALL_HELD_OR_DONE = "SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done' AND hold IS NULL"


async def test_of_a_hundred_sends_at_once_each_person_has_one_open_offer_and_ok_orders_that_one(
    ground: Ground,
) -> None:
    async with a_town(ground, subscribers=PEOPLE) as town:
        campaigns = await asyncio.gather(*(town.new_record() for _ in range(SENDS)))
        assert len(set(campaigns)) == SENDS
        async with town.process.services.database.bulk() as connection:
            await eventually(lambda: connection.fetchval(ALL_HELD_OR_DONE))
            await eventually(lambda: all(town.offers_to(msisdn) for msisdn in town.msisdns))
            assert {town.offers_to(msisdn) for msisdn in town.msisdns} == {1}
            open_offers = await connection.fetch("SELECT msisdn, campaign_id FROM open_offer")
            assert Counter(row["msisdn"] for row in open_offers) == Counter(town.msisdns)
            waiting = await connection.fetch("SELECT hold, size FROM campaign_chunk WHERE state <> 'done'")
            assert {row["hold"] for row in waiting} == {"open_offer"}

            buyer = town.msisdns[0]
            await town.answer(buyer, "OK")
            order = await town.confirmed_order()
            sent_by = {row["msisdn"]: row["campaign_id"] for row in open_offers}
            assert await connection.fetchval("SELECT campaign_id FROM orders") == sent_by[buyer]
            assert order["msisdn"] == f"+{buyer}"
